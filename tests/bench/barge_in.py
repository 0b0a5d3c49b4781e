"""Somebody speaks into an answer: from the decision that it is speech to silence.

Orchestrator and client in this process, the engines in another, all by TCP. The model is
still writing and speech is still coming when the person begins to speak.
"""

import asyncio
import random
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench.caller import Caller, orchestrate
from tests.bench.report import Row, percentile, row
from tests.bench.scripted_node import Dialled, NodeProcess

_WORDS = 400
_PAUSE = 0.01
_SPOKEN_FRAMES = 24
_SILENT_FRAMES = 12


async def run(quick: bool) -> list[Row]:
    """Interrupt one answer after the other."""
    took: dict[str, list[float]] = {
        "last_audio": [],
        "flush": [],
        "tts_cancelled": [],
        "model_cancelled": [],
    }
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ens-")))
        node = await stack.enter_async_context(NodeProcess(_WORDS, _PAUSE))
        channels = Dialled(node.addresses, stack)
        address = await orchestrate(channels, folder / "log.db", "tcp", stack)
        caller = await stack.enter_async_context(Caller(address, manual=False))
        for _ in range(12 if quick else 100):
            for name, seconds in (await _interrupt(caller, node)).items():
                took[name].append(seconds * 1000)
    rows = [
        row("last_audio.p50", percentile(took["last_audio"], 0.5), "ms"),
        row("last_audio.p99", percentile(took["last_audio"], 0.99), "ms", goal="<= 25"),
    ]
    for name in ("flush", "tts_cancelled", "model_cancelled"):
        rows.append(row(f"{name}.p50", percentile(took[name], 0.5), "ms"))
        rows.append(row(f"{name}.p99", percentile(took[name], 0.99), "ms", goal="<= 25"))
    return rows


async def _interrupt(caller: Caller, node: NodeProcess) -> dict[str, float]:
    """Ask, interrupt the answer, and return the seconds from the decision to each effect."""
    await _ask(caller)
    # Beyond the lead, speech is sent frame by frame as it is played.
    for _ in range(_SPOKEN_FRAMES):
        await caller.until("response_audio_delta")
    await asyncio.sleep(random.uniform(0.0, 0.02))
    await node.marks()
    caller.arrived.clear()
    await caller.audio(loud=True)
    flushed, flush = await caller.until("playback_flush")
    await caller.report(flush.response_id, 0)
    # The speech that interrupted becomes a turn of its own, and is interrupted as well.
    await caller.until("response_done")
    marks = await node.marks()
    decision = marks["decision"]
    audio = [
        when
        for when, event in caller.arrived
        if event.WhichOneof("event") == "response_audio_delta"
        and event.response_audio_delta.response_id == flush.response_id
    ]
    effects = {"flush": flushed - decision, "last_audio": max([decision, *audio]) - decision}
    for name in ("tts_cancelled", "model_cancelled"):
        effects[name] = marks[name] - decision
    await _quiet(caller)
    return effects


async def _ask(caller: Caller) -> None:
    await caller.audio(loud=True)
    for _ in range(_SILENT_FRAMES):
        await caller.audio(loud=False)
    await caller.until("response_started")


async def _quiet(caller: Caller) -> None:
    """End the turn that interrupted, and the answer to it."""
    for _ in range(_SILENT_FRAMES):
        await caller.audio(loud=False)
    _, started = await caller.until("response_started")
    await caller.send(response_cancel={"response_id": started.response_id})
    await caller.until("response_done")
    await asyncio.sleep(0.02)
