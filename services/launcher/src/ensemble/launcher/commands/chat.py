"""``ensemble chat``: a conversation by text."""

import argparse

from ensemble.launcher.connection import client
from ensemble.launcher.terminal import Chat


async def run(options: argparse.Namespace) -> int:
    """Talk until the person leaves."""
    async with client() as gateway:
        return await Chat(gateway, session_id=options.session, patience=options.patience).run()
