"""Stacks for the crash tests, and what is printed about a run."""

import os
import random
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.chaos.processes import Zygote
from tests.chaos.report import summary
from tests.chaos.run import Outcome


@pytest.fixture(scope="session")
def seed() -> str:
    """What chooses everything that is random; ``CHAOS_SEED`` runs a failed one again."""
    return os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))


@pytest_asyncio.fixture
async def zygote() -> AsyncIterator[Zygote]:
    """The fork server of one test."""
    async with Zygote() as server:
        yield server


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], seed: str) -> Callable[..., None]:
    """Prints what came of runs, and whatever else is to be read, also where nothing failed."""

    def say(*outcomes: Outcome, **more: object) -> None:
        with capsys.disabled():
            print(f"\nCHAOS_SEED={seed}")
            print(summary(outcomes))
            for name, value in more.items():
                print(f"{name}: {value}")
            for outcome in outcomes:
                for fault in outcome.faults[:20]:
                    print(f"  {outcome.name}: {fault}")

    return say
