"""Serves the world model, and lets the test modules import its contract suite."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.v1.world_model_service_pb2_grpc import WorldModelServiceStub
from ensemble.world_model.app import build
from ensemble.world_model.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
NAME = "world-model"

Serve = Callable[..., AbstractAsyncContextManager[Host]]


@asynccontextmanager
async def serving(database: Path, address: str = "") -> AsyncIterator[Host]:
    """A host of the service; `address` is where it listens and is dialled, else in process."""
    host = Host(
        {NAME: lambda channels: build(Settings(database=database), channels)},
        RuntimeSettings(drain_notice_seconds=0, drain_streams_seconds=2),
        listen={NAME: [address] if address else []},
        environ={"ENSEMBLE_WORLD_MODEL_ADDRESS": address} if address else {},
    )
    async with host:
        failed = await host.settled()
        if failed:
            raise RuntimeError(failed[NAME])
        yield host


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture(params=["inproc", "unix"])
async def world(request, tmp_path) -> AsyncIterator[WorldModelServiceStub]:
    address = f"unix:{tmp_path}/w.sock" if request.param == "unix" else ""
    async with serving(tmp_path / "world.db", address) as host:
        yield WorldModelServiceStub(host.peers.get(NAME))
