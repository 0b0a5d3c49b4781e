"""``ensemble talk``: a spoken question, a spoken answer."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from ensemble.client.voice import read_wav, talk
from ensemble.core.errors import InvalidAudioError
from ensemble.launcher.blame import blaming
from ensemble.launcher.connection import client, trying
from ensemble.launcher.gap_notice import GapNotice
from ensemble.launcher.plain import plain
from ensemble.launcher.stored import resolve


async def run(options: argparse.Namespace) -> int:
    """Say a recording and keep the answer, or talk by microphone."""
    if options.mic:
        from ensemble.launcher.microphone import converse

        async with client() as gateway:
            session_id = await resolve(gateway, options.session, options.patience)
            return await converse(gateway, session_id, options.patience)
    if not options.recording:
        print("ensemble: talk needs a WAV file, or --mic.", file=sys.stderr)
        return 2
    recording = read_wav(_read(options.recording))
    async with client() as gateway, blaming(gateway):
        session_id = await resolve(gateway, options.session, options.patience)
        gaps = GapNotice(lambda line: print(line, file=sys.stderr, flush=True))
        try:
            spoken = await talk(
                gateway,
                recording,
                session_id=session_id,
                real_time=options.real_time,
                on_lost=gaps.lost,
                on_gap=gaps.back,
                **trying(options.patience),
            )
        finally:
            gaps.end()
    for error in spoken.trouble:
        print(f"ensemble: warning: {error.reason}: {plain(error.message)}", file=sys.stderr)
    if options.output:
        await asyncio.to_thread(Path(options.output).write_bytes, spoken.as_wav())
    if options.json:
        print(json.dumps(spoken.as_json(), ensure_ascii=False))
    else:
        said = plain(spoken.transcript) or "(not understood)"
        print(f"you: {said}\nensemble: {plain(spoken.answer.text)}")
        if options.output:
            print(f"the answer is in {options.output}", file=sys.stderr)
    return 0


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InvalidAudioError(f"{name} cannot be read: {error.strerror}.") from error
