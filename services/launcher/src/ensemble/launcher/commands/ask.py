"""``ensemble ask``: one typed question, one answer."""

import argparse
import json
import sys

from ensemble.launcher.blame import blaming
from ensemble.launcher.connection import client, trying
from ensemble.launcher.gap_notice import GapNotice
from ensemble.launcher.plain import plain
from ensemble.launcher.stored import resolve


async def run(options: argparse.Namespace) -> int:
    """Ask and print the answer."""
    text = sys.stdin.read().strip() if options.text == "-" else options.text
    if not text.strip():
        print("ensemble: ask what? The question is empty.", file=sys.stderr)
        return 2
    async with client() as gateway, blaming(gateway):
        gaps = GapNotice(lambda line: print(line, file=sys.stderr, flush=True))
        try:
            answer = await gateway.ask(
                text,
                session_id=await resolve(gateway, options.session, options.patience),
                model=options.model,
                on_lost=gaps.lost,
                on_gap=gaps.back,
                **trying(options.patience),
            )
        finally:
            gaps.end()
    if not options.json:
        for notice in answer.notices:
            print(f"* {plain(notice)}", file=sys.stderr)
    print(json.dumps(answer.as_json(), ensure_ascii=False) if options.json else plain(answer.text))
    return 0
