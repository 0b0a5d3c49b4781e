"""Puts the world model together."""

from collections.abc import Sequence

import grpc

from ensemble.runtime.service import Channels, Service
from ensemble.v1 import world_model_service_pb2_grpc
from ensemble.world_model.adapters.sqlite import SqliteWorldStore
from ensemble.world_model.retention import Retention
from ensemble.world_model.servicer import WorldModelServicer
from ensemble.world_model.settings import Settings


def build(settings: Settings, channels: Channels) -> Service:
    """Return the service; it needs no other one."""
    return WorldModel(settings)


class WorldModel(Service):
    """Keeps entities, their attributes and facts in one SQLite file."""

    name = "world-model"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: SqliteWorldStore | None = None
        self._retention: Retention | None = None
        self._servicer = WorldModelServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        world_model_service_pb2_grpc.add_WorldModelServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Open the file, or fail with the reason why it cannot be."""
        self._store = await SqliteWorldStore.open(self._settings.database_path())
        self._servicer.serve(self._store)
        self._retention = Retention(self._store, self._settings.keep_removed_days)
        self._retention.start()

    async def drain(self) -> None:
        """End the watches."""
        self._servicer.drain()

    async def close(self) -> None:
        """Flush and close the file."""
        if self._retention is not None:
            await self._retention.close()
        if self._store is not None:
            await self._store.close()

    def engines(self) -> Sequence[str]:
        """Return what the world is kept in."""
        return ("sqlite",)
