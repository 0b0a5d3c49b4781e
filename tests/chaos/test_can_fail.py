"""The suite goes red where a promise is broken on purpose: otherwise its green says nothing."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.testkit.chaos.sabotage import Forgetful, Gullible
from ensemble.testkit.postgres import shared_postgres
from tests.chaos.bounds import too_many_given_up
from tests.chaos.fork_server import NO_RESUME
from tests.chaos.processes import Zygote
from tests.chaos.run import Crowd, crash
from tests.chaos.stack import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

Show = Callable[..., None]


async def test_sending_before_committing_is_noticed(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    async with Stack("early", tmp_path / "s", zygote, sabotage="send-before-commit") as stack:
        outcome = await crash(
            stack, seed, kills=6, texts=3, voices=0, victims={"orchestrator": 1}, phases=("commit",)
        )
    show(outcome)
    assert outcome.faults


@pytest.mark.parametrize(("client", "noticed"), [(Forgetful, False), (Gullible, True)])
async def test_a_client_that_shows_what_it_has_shown_is_noticed(
    client: type[Forgetful],
    noticed: bool,
    tmp_path: Path,
    zygote: Zygote,
    seed: str,
    show: Show,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ensemble.client.client.Conversation", client)
    async with Stack("dedupe", tmp_path / "s", zygote) as stack:
        outcome = await crash(stack, seed, kills=3, texts=3, voices=0, victims={"gateway": 1})
    show(outcome)
    assert bool(outcome.faults) is noticed


async def test_an_orchestrator_that_is_not_fenced_off_is_noticed(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    async with (
        shared_postgres().database() as store,
        Stack(
            "unfenced", tmp_path / "s", zygote, store=store, orchestrators=2, sabotage="no-fencing"
        ) as stack,
    ):
        crowd = Crowd(stack, seed, texts=4, voices=0)
        killer = crowd.aim()
        async with crowd.talking():
            for turn in range(4):
                label = f"orchestrator-{turn % 2 + 1}"
                await killer.in_phase("commit")
                await stack.freeze(label)
                await asyncio.sleep(2.5)
                await stack.nodes[label].signal(signal.SIGCONT)
                await asyncio.sleep(1.0)
        outcome = await crowd.judge()
    show(outcome)
    assert outcome.faults


async def test_an_orchestrator_that_does_not_go_on_is_noticed(
    tmp_path: Path, zygote: Zygote, seed: str, show: Show
) -> None:
    async with Stack("cut-off", tmp_path / "s", zygote, sabotage=NO_RESUME) as stack:
        outcome = await crash(
            stack, seed, kills=6, victims={"orchestrator": 1}, phases=("commit", "speaking")
        )
    show(outcome)
    assert too_many_given_up([outcome])
