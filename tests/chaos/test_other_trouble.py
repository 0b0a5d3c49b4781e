"""What else goes wrong: a full disk, a store that restarts, a frozen process, a bad link."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ensemble.testkit.chaos.model import CANNOT_CONTINUE
from ensemble.testkit.postgres import PostgresServer, shared_postgres
from tests.chaos.bad_link import BadLink
from tests.chaos.blows import Blow, freeze_for_a_while, kill, kill_for_a_while, strike
from tests.chaos.bounds import too_many_given_up
from tests.chaos.fork_server import ANOTHER_MODEL
from tests.chaos.full_disk import FullDisk
from tests.chaos.processes import Zygote
from tests.chaos.report import takeover, write
from tests.chaos.run import Crowd, Outcome, crash
from tests.chaos.stack import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

Show = Callable[..., None]

BLOWS = int(os.environ.get("CHAOS_BLOWS", "8"))
"""How often orchestrators are struck in each of the tests that measure the silence after it."""

PASSING = {
    "STORAGE_FULL",
    "STORAGE_UNAVAILABLE",
    "SERVICE_UNAVAILABLE",
    "PEER_LOST",
    "DEADLINE_EXCEEDED",
    "SESSION_MOVED",
}
"""Errors that tell a person to try again."""


async def test_a_link_that_drops_and_stalls(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    rng = random.Random(f"{seed} link")
    async with (
        Stack("link", tmp_path / "s", zygote) as stack,
        BadLink(stack.address) as link,
    ):
        crowd = Crowd(stack, seed, texts=2, voices=2, address=link.address)
        async with crowd.talking():
            for _ in range(10):
                await asyncio.sleep(rng.uniform(0.5, 1.5))
                match rng.choice(("cut", "drop", "stall", "short")):
                    case "cut":
                        link.cut()
                    case "drop":
                        await link.drop(rng.uniform(0.1, 1.5))
                    case "stall":
                        await link.stall(rng.uniform(3.5, 5.0))
                    case "short":
                        await link.stall(rng.uniform(0.2, 1.0))
        outcome = await crowd.judge()
    gaps = sum(len(record.gaps) for record in outcome.records)
    show(outcome, cuts=link.cuts, gaps=gaps)
    assert outcome.faults + too_many_given_up([outcome]) == []
    assert gaps


async def test_a_disk_that_is_full_for_a_while(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    stack = Stack("full-disk", tmp_path / "s", zygote, sabotage="no-reserve")
    with FullDisk(stack.folder / "orchestrator-1") as disk:
        async with stack:
            crowd = Crowd(stack, seed, texts=2, voices=1)
            async with crowd.talking():
                for _ in range(2):
                    await asyncio.sleep(3.0)
                    child = stack.nodes["orchestrator-1"].child
                    assert child is not None
                    disk.fill(child.pid)
                    await asyncio.sleep(2.0)
                    disk.free(child.pid)
                await asyncio.sleep(3.0)
            outcome = await crowd.judge(PASSING)
    failures = {reason for record in outcome.records for reason in record.failures}
    gaps = {gap.reason for record in outcome.records for _, gap in record.gaps}
    show(outcome, disk=disk.how, failures=failures, gaps=gaps)
    assert outcome.faults == []
    assert "STORAGE_FULL" in failures | gaps
    assert outcome.answered


async def test_postgres_is_killed_and_restarted(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    server = PostgresServer()
    try:
        server.start()
        async with server.database() as store:
            stack = Stack("postgres-restart", tmp_path / "s", zygote, store=store, orchestrators=2)
            async with stack:
                crowd = Crowd(stack, seed, texts=2, voices=1)
                async with crowd.talking():
                    for pause in (0.0, 2.0, 0.5):
                        await asyncio.sleep(2.5)
                        server.kill()
                        await asyncio.sleep(pause)
                        await asyncio.to_thread(server.start)
                    await asyncio.sleep(3.0)
                outcome = await crowd.judge(PASSING)
    finally:
        server.remove()
    failures = {reason for record in outcome.records for reason in record.failures}
    gaps = {gap.reason for record in outcome.records for _, gap in record.gaps}
    show(outcome, failures=failures, gaps=gaps)
    assert outcome.faults == []
    assert outcome.answered


async def test_a_frozen_orchestrator_wakes_up_late(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    async with _three("frozen", tmp_path, zygote) as stack:
        outcome = await _struck(stack, f"{seed} frozen", freeze_for_a_while)
    times = takeover("frozen, others running", stack.freezes, outcome.records, goal_s=2.0)
    write("takeover_frozen", times)
    show(outcome, takeover=times)
    assert outcome.faults + too_many_given_up([outcome]) == []


async def test_another_orchestrator_takes_over(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    async with _three("takeover", tmp_path, zygote) as stack:
        outcome = await _struck(stack, f"{seed} takeover", kill_for_a_while)
    times = takeover("killed, others running", outcome.kills, outcome.records, goal_s=1.5)
    write("takeover_killed", times)
    show(outcome, takeover=times)
    assert outcome.faults + too_many_given_up([outcome]) == []


async def test_the_same_orchestrator_comes_back(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    async with Stack("same", tmp_path / "s", zygote) as stack:
        outcome = await _struck(stack, f"{seed} same", kill)
    times = takeover("killed, the same one restarts", outcome.kills, outcome.records, goal_s=1.0)
    write("takeover_same", times)
    show(outcome, takeover=times)
    assert outcome.faults + too_many_given_up([outcome]) == []


@contextlib.asynccontextmanager
async def _three(name: str, folder: Path, zygote: Zygote) -> AsyncIterator[Stack]:
    """A stack with three orchestrators on one Postgres."""
    async with (
        shared_postgres().database() as store,
        Stack(name, folder / "s", zygote, store=store, orchestrators=3) as stack,
    ):
        yield stack


async def _struck(stack: Stack, seed: str, blow: Blow) -> Outcome:
    """Strike whoever holds a conversation that is speaking."""
    crowd = Crowd(stack, seed, texts=2, voices=6)
    await strike(crowd, blow, BLOWS, random.Random(seed))
    return await crowd.judge()


@pytest.mark.parametrize("beside", ["", ANOTHER_MODEL], ids=["alone", "beside another"])
async def test_a_model_that_cannot_go_on_begins_anew(
    beside: str, tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    # The other one could go on; in its own words, which would be a fault.
    environ = {CANNOT_CONTINUE: "1", "LLM_URL": "http://127.0.0.1:1/v1"}
    async with Stack("anew", tmp_path / "s", zygote, environ=environ, sabotage=beside) as stack:
        victims = {"orchestrator": 2, "model-router": 1}
        outcome = await crash(stack, seed, kills=12, victims=victims, phases=("tool", "commit"))
    show(outcome)
    assert outcome.faults == []
