"""What is measured of a system, in a process that runs nothing else.

Each measure takes the system's name, its store and numbers, and returns numbers by name.
"""

import asyncio
import ctypes
import gc
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from tests.bench.durable.engine import Engine, open_engine
from tests.bench.durable.files import fsync_seconds
from tests.bench.durable.work import Work
from tests.bench.report import percentile

Found = dict[str, float]

_TURNS: Final = 8
"""Turns of a dialogue where many are timed."""

_WARM_UP: Final = 2
_PATIENCE_S: Final = 60.0


async def turns(name: str, store: str, count: int, folder: str, piece_s: float = 0.0) -> Found:
    """Time turns one after another, and an fsync in the same folder after each.

    Paced, with so many seconds between two pieces, the answer is short and there is no tool.
    """
    work = Work(pieces=16, tool=False, piece_s=piece_s) if piece_s else Work()
    probe = Path(folder) / f"probe-{os.getpid()}"
    first, done, flushes = [], [], []
    async with open_engine(name, store, work) as engine:
        for dialogue in range(_WARM_UP):
            await engine.turn(-1 - dialogue)
        before, worked = getattr(engine, "commits", 0), time.process_time()
        for number in range(count):
            took = await engine.turn(number // _TURNS)
            first.append(took.first)
            done.append(took.done)
            flushes.append(fsync_seconds(probe))
        worked = time.process_time() - worked
        commits = getattr(engine, "commits", 0) - before
    return {
        "cpu": worked / count * 1000,
        "first": percentile(first, 0.5) * 1000,
        "done": percentile(done, 0.5) * 1000,
        "done.p99": percentile(done, 0.99) * 1000,
        "fsync": percentile(flushes, 0.5) * 1000,
        "commits": commits / count,
    }


async def sessions(
    name: str, store: str, count: int, turns: int, pause_s: float, *, tool: bool = False
) -> Found:
    """Take so many turns of so many dialogues at once.

    The answer comes in one piece and there is no tool: what counts is how much work there is
    between a model and its dialogue, a thousand times.
    """
    work = Work(joined=256, tool=tool, pause_s=pause_s)
    async with open_engine(name, store, work) as engine:
        if name.startswith("ensemble"):
            # Opening a conversation is not part of a turn; the others have no such thing.
            await asyncio.gather(*(engine.turn(dialogue) for dialogue in range(count)))

        async def converse(dialogue: int) -> None:
            for _ in range(turns):
                await engine.turn(dialogue)

        begin, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(converse(dialogue) for dialogue in range(count)))
        took, worked = time.perf_counter() - begin, time.process_time() - worked
    cpu = worked / (count * turns) * 1000
    return {"took": took, "rate": count * turns / took, "cpu": cpu}


async def history(name: str, store: str, count: int) -> Found:
    """Take many turns of one dialogue: what they take on disk, and the time of some."""
    work = Work(joined=8)
    async with open_engine(name, store, work) as engine:
        await engine.turn(-1)
        empty = await engine.size()
        took = [(await engine.turn(0)).done for _ in range(count)]
        size = await engine.size() - empty
    found = {"disk": size / 1e6, "payload": count * work.payload / 1e6}
    for mark in (10, 100, 200, 400):
        if mark <= count:
            around = took[max(mark - 10, 2) : mark]
            found[f"turn.{mark}"] = percentile(around, 0.5) * 1000
    return found


async def memory(name: str, store: str, count: int) -> Found:
    """Bytes for each of many dialogues that had a turn and wait for the next."""
    async with open_engine(name, store, Work(joined=8)) as engine:
        await _all(engine.turn, range(-20, 0))
        before = resident()
        await _all(engine.turn, range(count))
        return {"each": (resident() - before) / count / 1000}


async def thinking(name: str, store: str, count: int) -> Found:
    """Bytes for each of many dialogues whose model is thinking. Ends the process."""
    async with open_engine(name, store, Work(pause_s=_PATIENCE_S * 10, tool=False)) as engine:
        before = resident()
        asked = [asyncio.create_task(engine.turn(dialogue)) for dialogue in range(count)]
        async with asyncio.timeout(_PATIENCE_S):
            while engine.entered < count:
                await asyncio.sleep(0.02)
        each = (resident() - before) / count / 1000
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
        return {"each": each}


async def slow_consumer(name: str, store: str, count: int, pieces: int) -> Found:
    """Growth behind consumers that read nothing, and behind as many that read everything."""
    work = Work(pieces=pieces, joined=8, tool=False)
    async with open_engine(name, store, work) as engine:
        await _all(engine.turn, range(-8, 0))
        before = resident()
        await _all(engine.turn, range(count))
        reading = resident() - before
        before = resident()
        await _all(engine.ask_and_read_no_more, range(count, 2 * count))
        await _settled()
        unread = resident() - before
    return {
        "reading": reading / 1e6,
        "unread": unread / 1e6,
        "payload": count * pieces * 8 / 1e6,
    }


async def _all(turn: Callable[[int], Awaitable[Any]], dialogues: range) -> None:
    """Take a turn of each, a few at a time."""
    some = asyncio.Semaphore(50)

    async def one(dialogue: int) -> None:
        async with some:
            await turn(dialogue)

    await asyncio.gather(*map(one, dialogues))


async def _settled() -> None:
    """Wait until this process has nothing to do any more."""
    quiet = 0
    while quiet < 3:
        before = time.process_time()
        await asyncio.sleep(0.2)
        quiet = quiet + 1 if time.process_time() - before < 0.05 else 0


def resident() -> int:
    """Return the bytes in memory, after what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def log_turns(name: str, store: str, count: int, folder: str) -> Found:
    """Time what a turn writes, in one append to the log, and an fsync after each."""
    from tests.bench.durable.log_turn import TurnLog

    probe = Path(folder) / f"probe-{os.getpid()}"
    took, flushes = [], []
    async with TurnLog(store) as log:
        for number in range(_WARM_UP + count):
            begin = time.perf_counter()
            await log.append(number % _TURNS)
            if number >= _WARM_UP:
                took.append(time.perf_counter() - begin)
                flushes.append(fsync_seconds(probe))
    p50 = percentile(took, 0.5) * 1000
    return {"done": p50, "fsync": percentile(flushes, 0.5) * 1000}


async def log_rate(name: str, store: str, dialogues: int, turns: int) -> Found:
    """Write the turns of many dialogues at once, each one's next when the last is durable."""
    from tests.bench.durable.log_turn import TurnLog

    async with TurnLog(store) as log:

        async def converse(dialogue: int) -> None:
            for _ in range(turns):
                await log.append(dialogue)

        await asyncio.gather(*(log.append(dialogue) for dialogue in range(dialogues)))
        begin, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(converse(dialogue) for dialogue in range(dialogues)))
        took, worked = time.perf_counter() - begin, time.process_time() - worked
    cpu = worked / (dialogues * turns) * 1000
    return {"rate": dialogues * turns / took, "cpu": cpu}


MEASURES: Final[dict[str, Callable[..., Awaitable[Found]]]] = {
    each.__name__: each
    for each in (turns, sessions, history, memory, thinking, slow_consumer, log_turns, log_rate)
}

__all__ = ["MEASURES", "Engine", "Found", "resident"]
