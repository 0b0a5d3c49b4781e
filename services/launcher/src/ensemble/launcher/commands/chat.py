"""``ensemble chat``: a conversation by text."""

import argparse

from ensemble.launcher.connection import client
from ensemble.launcher.stored import resolve
from ensemble.launcher.terminal import Chat


async def run(options: argparse.Namespace) -> int:
    """Talk until the person leaves."""
    async with client() as gateway:
        session_id = await resolve(gateway, options.session, options.patience)
        return await Chat(gateway, session_id=session_id, patience=options.patience).run()
