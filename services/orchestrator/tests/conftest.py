"""An orchestrator among scripted peers."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.testkit.postgres import shared_postgres
from ensemble.testkit.scripted import ScriptedPeers

sys.path.insert(0, str(Path(__file__).parent))

from orchestrator_rig import Rig

STORES = ("sqlite", "postgres")


@contextlib.asynccontextmanager
async def settings_on(store: str, folder: Path) -> AsyncIterator[OrchestratorSettings]:
    """Give settings of an orchestrator whose log is in an empty store of a kind."""
    if store == "sqlite":
        yield OrchestratorSettings(log=folder / "log.db")
        return
    async with shared_postgres().database() as dsn:
        yield OrchestratorSettings(store=dsn, slot="a")


@pytest.fixture
async def peers() -> AsyncIterator[ScriptedPeers]:
    async with ScriptedPeers() as scripted:
        yield scripted


@pytest.fixture
def settings(tmp_path: Path) -> OrchestratorSettings:
    return OrchestratorSettings(log=tmp_path / "log.db")


@pytest.fixture
async def rig(peers: ScriptedPeers, settings: OrchestratorSettings) -> AsyncIterator[Rig]:
    made = Rig(peers, settings)
    await made.start()
    yield made
    with contextlib.suppress(Exception):
        await made.stop()
