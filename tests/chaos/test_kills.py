"""kill -9 at random under conversations: nothing is lost, nothing is doubled."""

import os
import random
from pathlib import Path

import pytest

from tests.chaos.processes import Zygote
from tests.chaos.run import crash, summary
from tests.chaos.stack import Stack

pytestmark = pytest.mark.chaos

SEED = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))
KILLS = int(os.environ.get("CHAOS_KILLS", "150"))


@pytest.mark.timeout(600)
async def test_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Zygote() as zygote, Stack("sqlite", tmp_path / "s", zygote) as stack:
        outcome = await crash(stack, SEED, kills=KILLS)
    with capsys.disabled():
        print(f"\nCHAOS_SEED={SEED}\n{summary([outcome])}")
        print("\n".join(outcome.faults[:40]))
    assert outcome.faults == []
