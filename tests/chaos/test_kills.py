"""kill -9 at random under conversations: nothing is lost, nothing is doubled."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.testkit.postgres import shared_postgres
from tests.chaos.bounds import too_many_given_up
from tests.chaos.processes import Zygote
from tests.chaos.record import PHASES
from tests.chaos.report import as_json, write
from tests.chaos.run import crash
from tests.chaos.stack import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("CHAOS_KILLS", "160"))
"""Kills in all; the figures that are asked for hold for 150 and more."""


async def test_random_kills_on_both_stores(
    tmp_path: Path, zygote: Zygote, seed: str, show: Callable[..., None]
) -> None:
    async with (
        shared_postgres().database() as store,
        Stack("sqlite", tmp_path / "sqlite", zygote) as sqlite,
        Stack(
            "postgres", tmp_path / "pg", zygote, store=store, orchestrators=3, gateways=2
        ) as postgres,
    ):
        outcomes = await asyncio.gather(
            crash(sqlite, f"{seed} sqlite", kills=KILLS // 2),
            crash(postgres, f"{seed} postgres", kills=KILLS - KILLS // 2),
        )
    show(*outcomes)
    write("kills", as_json(outcomes))
    assert [fault for outcome in outcomes for fault in outcome.faults] == []
    assert too_many_given_up(outcomes) == []
    kills = [kill for outcome in outcomes for kill in outcome.kills]
    phases = Counter(kill.phase for kill in kills)
    assert len(kills) == KILLS
    # While somebody still speaks or types, the turn has not begun.
    assert sum(phases[phase] for phase in PHASES if phase != "listening") >= 0.6 * KILLS
    if KILLS >= 150:
        assert all(phases[phase] >= 20 for phase in PHASES), phases
