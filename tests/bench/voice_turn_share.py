"""Our share of a spoken turn: everything but the engines, which take no time here.

From the end of the question to the first audio of the answer: client, orchestrator,
recogniser, model and synthesiser, each behind the real interceptors. Colocated all of them
are in one process; over three hops the orchestrator reaches the three engines in another
process by TCP. Commits are reported apart: the same turn with a log that commits at once, and
with the real one on this disk.
"""

import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench.caller import Caller, orchestrate
from tests.bench.report import Row, percentile, row
from tests.bench.scripted_node import Dialled, NodeProcess, ScriptedNode, reply_of

_WORDS = 4
_TURNS = 8
"""Turns of one conversation: the model is sent all turns before, so later ones cost more."""

_WARM_UP = 2


async def run(quick: bool) -> list[Row]:
    """Take turns in turn on each placement, so that noise hits all alike."""
    turns = 40 if quick else 400
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ens-")))
        here = await stack.enter_async_context(ScriptedNode("inproc", reply_of(_WORDS, 0)))
        there = await stack.enter_async_context(NodeProcess(_WORDS, 0))
        where = {}
        for name, addresses, log in (
            ("colocated", here.addresses, None),
            ("three_hops", there.addresses, None),
            ("colocated_durable", here.addresses, folder / "here.db"),
            ("three_hops_durable", there.addresses, folder / "there.db"),
        ):
            where[name] = await orchestrate(Dialled(addresses, stack), log, "inproc", stack)
        took: dict[str, list[float]] = {name: [] for name in where}
        flushes: list[float] = []
        for number in range(_WARM_UP + turns // _TURNS):
            for name, address in where.items():
                seconds = await _conversation(address)
                if number >= _WARM_UP:
                    took[name] += [each * 1000 for each in seconds]
            flushes.append(_fsync(folder / "probe") * 1000)
    return _rows(took, flushes)


async def _conversation(address: str) -> list[float]:
    """Return the seconds of each turn of a conversation."""
    async with Caller(address, manual=True) as caller:
        return [await _turn(caller) for _ in range(_TURNS)]


async def _turn(caller: Caller) -> float:
    """Take one turn and return the seconds from its end to the first audio."""
    caller.arrived.clear()
    await caller.audio(loud=True)
    await caller.until("speech_started")
    begin = time.monotonic()
    await caller.send(input_end={})
    heard, first = await caller.until("response_audio_delta")

    async def play(event: object) -> None:
        delta = getattr(event, "response_audio_delta", None)
        if delta is not None and delta.pcm:
            played = delta.offset_samples + len(delta.pcm) // 2
            await caller.report(delta.response_id, played)

    await caller.report(first.response_id, len(first.pcm) // 2)
    await caller.until("response_done", play)
    return heard - begin


def _fsync(path: Path) -> float:
    with path.open("ab") as file:
        file.write(b"x" * 4096)
        file.flush()
        begin = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - begin


def _rows(took: dict[str, list[float]], flushes: list[float]) -> list[Row]:
    def p(name: str, share: float) -> float:
        return percentile(took[name], share)

    return [
        row("colocated.p50", p("colocated", 0.5), "ms", goal="<= 1"),
        row("colocated.p99", p("colocated", 0.99), "ms"),
        row("three_hops.p50", p("three_hops", 0.5), "ms", goal="<= 4"),
        row("three_hops.p99", p("three_hops", 0.99), "ms", goal="<= 10"),
        row(
            "colocated.commits.p50",
            p("colocated_durable", 0.5) - p("colocated", 0.5),
            "ms",
        ),
        row(
            "three_hops.commits.p50",
            p("three_hops_durable", 0.5) - p("three_hops", 0.5),
            "ms",
        ),
        row("colocated.durable.p50", p("colocated_durable", 0.5), "ms"),
        row("three_hops.durable.p50", p("three_hops_durable", 0.5), "ms"),
        row("fsync.p50", percentile(flushes, 0.5), "ms"),
    ]
