"""``python -m tests.bench.durable.revive NAME STORE COUNT [--again]``: to be killed.

Begins a turn of so many dialogues whose model never answers, and says so. ``--again`` is what
starts afterwards on the same store: it says when it can take turns, and when every model that
was asked before has been asked again. Each line is a word and the seconds of the monotonic clock.
"""

import asyncio
import logging
import sys
import time
from typing import Any

from tests.bench.durable.engine import Engine, open_engine
from tests.bench.durable.work import Work

_NEVER_S = 3600.0


def _say(word: str) -> None:
    print(word, time.monotonic(), flush=True)


async def _drain(pieces: Any) -> None:
    async for _ in pieces:
        pass


def _go_on(name: str, engine: Any, count: int) -> list[asyncio.Task[None]]:
    """Take the dialogues up; DBOS has done so by itself. LangGraph is told which they are."""
    if name != "langgraph":
        return []
    return [asyncio.create_task(_drain(engine.pieces(number, None))) for number in range(count)]


async def _main(name: str, store: str, count: int, again: bool) -> None:
    engine: Engine
    async with open_engine(name, store, Work(pause_s=_NEVER_S)) as engine:
        if again:
            _say("accepting")
            tasks: list[Any] = list(_go_on(name, engine, count))
        else:
            tasks = [asyncio.create_task(engine.turn(number)) for number in range(count)]
        while engine.entered < count:
            await asyncio.sleep(0.005)
        _say("running")
        await asyncio.gather(asyncio.sleep(_NEVER_S), *tasks)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "--again" in sys.argv))
