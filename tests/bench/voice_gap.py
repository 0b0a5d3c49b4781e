"""The silence that a person hears when the orchestrator of a spoken answer dies.

The stack of the crash suite (``tests/chaos``): real processes, voices that play what they get at
the speed of speech and notice when it breaks off. Whoever holds a conversation that is speaking is
killed, with two others running on the same Postgres; killed, and the same one started again on
SQLite; stopped (SIGSTOP), with two others running. Where the same one starts again, its
``start_up`` is allowed on top of the goal: from a kill until all services serve. Processes are
forked from one that has everything imported; what a cold start adds is in ``recovery``. The client
has up to 400 ms in store. ``n`` is how many silences were heard; the histogram counts them by
tenths of a second; those under a tenth are not heard.
"""

import asyncio
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ensemble.testkit.postgres import shared_postgres
from tests.bench.report import Row, row
from tests.chaos.blows import Blow, freeze_for_a_while, kill, kill_for_a_while, strike
from tests.chaos.bounds import too_many_given_up
from tests.chaos.processes import Zygote
from tests.chaos.report import takeover
from tests.chaos.run import Crowd
from tests.chaos.stack import Stack

_SEED = "bench"
_VOICES = 6
_BLOWS, _FEW_BLOWS = 20, 2
_SHARED = 3
_NOTICED_S = 0.05


async def run(quick: bool) -> list[Row]:
    """Strike each kind of stack so often."""
    blows = _FEW_BLOWS if quick else _BLOWS
    return [
        *await _struck("killed_others_run", kill_for_a_while, blows, _SHARED, goal=1.5),
        *await _struck("killed_same_restarts", kill, blows, 1, goal=1.0),
        *await _struck("frozen_others_run", freeze_for_a_while, blows, _SHARED, goal=2.0),
    ]


def _begin(column: tuple[str, int]) -> float:
    return float(column[0])


async def _struck(
    name: str, blow: Blow, blows: int, orchestrators: int, *, goal: float
) -> list[Row]:
    async with AsyncExitStack() as around:
        folder = around.enter_context(tempfile.TemporaryDirectory(prefix="ens-"))
        zygote = await around.enter_async_context(Zygote())
        store = ""
        if orchestrators > 1:
            store = await around.enter_async_context(shared_postgres().database())
        stack = Stack(name, Path(folder) / "s", zygote, store=store, orchestrators=orchestrators)
        await around.enter_async_context(stack)
        crowd = Crowd(stack, _SEED, texts=0, voices=_VOICES)
        await strike(crowd, blow, blows, random.Random(f"{_SEED} {name}"))
        struck = [*stack.kills, *stack.freezes]
        started = 0.0 if store else await _start_up(stack)
        outcome = await crowd.judge()
    rows = [] if store else [row(f"{name}.start_up", started, "s")]
    goal = round(goal + started, 2)
    found = takeover(name, struck, outcome.records, goal_s=goal)
    found["broken"] = outcome.faults + too_many_given_up([outcome])
    for broken in found["broken"]:
        print(f"{name}: {broken}", file=sys.stderr)
    return [*rows, *_rows(name, found, goal)]


async def _start_up(stack: Stack) -> float:
    """Kill the only orchestrator and return the seconds until it serves again."""
    begin = time.monotonic()
    await stack.kill("orchestrator-1")
    await asyncio.sleep(_NOTICED_S)
    await stack.serving()
    return time.monotonic() - begin


def _rows(name: str, found: dict[str, Any], goal: float) -> list[Row]:
    return [
        row(f"{name}.blows", float(found["kills"]), "times"),
        row(f"{name}.broken_promises", float(len(found["broken"])), "faults", goal="<= 0"),
        row(f"{name}.silence.p50", found["p50"], "s"),
        # Without any, every client had enough in store.
        row(f"{name}.silence.p95", found["p95"], "s", goal=f"<= {goal}"),
        row(f"{name}.silence.n", float(found["count"]), "times"),
        row(f"{name}.silence.max", found["max"], "s"),
        *(
            row(f"{name}.silence.from_{begin}_s", float(count), "times")
            for begin, count in sorted(found["histogram"].items(), key=_begin)
        ),
    ]
