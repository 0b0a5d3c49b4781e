"""``ensemble explain``: what the turns of a session took, from its record alone."""

import argparse
import dataclasses
import json

from ensemble.client import read_record
from ensemble.launcher.connection import client
from ensemble.launcher.stored import resolve
from ensemble.launcher.transcript import explanation, totals, waited


async def run(options: argparse.Namespace) -> int:
    """Print a tree of each turn's model calls and tools."""
    async with client() as gateway:
        session_id = await resolve(gateway, options.session)
        record = await read_record(session_id, gateway.replay_session(session_id))
    if options.json:
        value = dataclasses.asdict(record)
        for turn, shown in zip(record.turns, value["turns"], strict=True):
            for answer, row in zip(turn.answers, shown["answers"], strict=True):
                row["waited_s"] = waited(answer)
        print(json.dumps({**value, "totals": totals(record)}, default=str, ensure_ascii=False))
    else:
        print(explanation(record))
    return 0
