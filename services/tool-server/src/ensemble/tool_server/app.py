"""Puts the tool server together."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import grpc

from ensemble.runtime.service import Channels, Service
from ensemble.tool_server import household
from ensemble.tool_server.adapters.world_model import WorldModelWorld
from ensemble.tool_server.alarms import Alarms
from ensemble.tool_server.clearance import Clearance
from ensemble.tool_server.ledger import Ledger
from ensemble.tool_server.ports import Clock
from ensemble.tool_server.servicer import ToolServerServicer
from ensemble.tool_server.settings import Settings
from ensemble.tool_server.toolbox import AnyTool, Toolbox
from ensemble.v1 import tool_server_service_pb2_grpc


def local_time() -> datetime:
    """Return now in the time zone of this process."""
    return datetime.now().astimezone()


def build(
    settings: Settings,
    channels: Channels,
    clock: Clock = local_time,
    *,
    more: Iterable[AnyTool] = (),
) -> Service:
    """Return the service; it needs the world model, and lives while that is away.

    ``more`` are tools that it offers beside those of the household.
    """
    return ToolServer(settings, channels, clock, more)


class ToolServer(Service):
    """The household tools, and the alarms that they set."""

    name = "tool-server"

    def __init__(
        self, settings: Settings, channels: Channels, clock: Clock, more: Iterable[AnyTool]
    ) -> None:
        world = WorldModelWorld(channels.get("world-model"))
        toolbox = Toolbox([*household.tools(world, clock), *more])
        self._ledger = Ledger(world, settings.kept_results)
        self._alarms = Alarms(world, clock)
        self._clearance = Clearance(world, settings.kept_days, settings.unknown_days)
        self._servicer = ToolServerServicer(toolbox, self._ledger, world, settings.time_limit)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        tool_server_service_pb2_grpc.add_ToolServerServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Begin to follow the alarms and to clear up; the world model may come later."""
        self._alarms.start()
        self._clearance.start()

    async def drain(self) -> None:
        """Refuse new calls."""
        self._servicer.drain()

    async def close(self) -> None:
        """Let calls that must not be repeated end; stop following the alarms."""
        await self._ledger.close()
        await self._alarms.close()
        await self._clearance.close()

    def engines(self) -> Sequence[str]:
        """Return where the tools come from."""
        return ("household",)
