"""The scripted peers of one service, served in this process."""

import itertools
from types import TracebackType
from typing import Any, Final, Self

import grpc

from ensemble.runtime.interceptors import ServerChain
from ensemble.runtime.interceptors.auth import TrustedCaller
from ensemble.runtime.interceptors.context import DeadlineBudget, RequestId
from ensemble.runtime.interceptors.validation import Validation
from ensemble.testkit.scripted.model_router import ScriptedModelRouter
from ensemble.testkit.scripted.stt import ScriptedStt
from ensemble.testkit.scripted.tool_server import ScriptedToolServer
from ensemble.testkit.scripted.tts import ScriptedTts
from ensemble.testkit.scripted.world_model import ScriptedWorldModel
from ensemble.transport import InProcessServer, open_channel
from ensemble.v1 import (
    model_router_service_pb2_grpc,
    stt_service_pb2_grpc,
    tool_server_service_pb2_grpc,
    tts_service_pb2_grpc,
    world_model_service_pb2_grpc,
)

_NAMES: Final = itertools.count(1)
_GRACE_S: Final = 0.5


def interceptors(service: str) -> list[grpc.aio.ServerInterceptor]:
    """Return what every call of a service passes, but for metrics and tracing."""
    return [ServerChain([RequestId(service), DeadlineBudget(), TrustedCaller()], Validation())]


class ScriptedPeers:
    """Serves the five peers of the orchestrator. Implements ``Channels``.

    Used as a context manager. ``stop`` and ``serve`` let one of them die and come back.
    """

    def __init__(
        self,
        *,
        router: ScriptedModelRouter | None = None,
        tools: ScriptedToolServer | None = None,
        stt: ScriptedStt | None = None,
        tts: ScriptedTts | None = None,
        world: ScriptedWorldModel | None = None,
    ) -> None:
        self.router = router or ScriptedModelRouter()
        self.tools = tools or ScriptedToolServer()
        self.stt = stt or ScriptedStt()
        self.tts = tts or ScriptedTts()
        self.world = world or ScriptedWorldModel()
        self._number = next(_NAMES)
        self._servers: dict[str, InProcessServer] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}

    def address_of(self, peer: str) -> str:
        """Return where ``peer`` is."""
        return f"inproc:scripted-{self._number}-{peer}"

    def get(self, peer: str) -> grpc.aio.Channel:
        """Return the channel to ``peer``."""
        if peer not in self._channels:
            self._channels[peer] = open_channel(self.address_of(peer))
        return self._channels[peer]

    async def serve(self, peer: str) -> None:
        """Let ``peer`` live."""
        name = self.address_of(peer).removeprefix("inproc:")
        server = InProcessServer(name, interceptors=interceptors(peer))
        _ADD[peer](self._servicer(peer), server)
        await server.start()
        self._servers[peer] = server

    async def stop(self, peer: str) -> None:
        """Let ``peer`` die, and its streams with it."""
        await self._servers.pop(peer).stop(0)

    async def __aenter__(self) -> Self:
        for peer in _ADD:
            await self.serve(peer)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel in self._channels.values():
            await channel.close()
        for server in self._servers.values():
            await server.stop(_GRACE_S)

    def _servicer(self, peer: str) -> Any:
        return {
            "model-router": self.router,
            "tool-server": self.tools,
            "stt": self.stt,
            "tts": self.tts,
            "world-model": self.world,
        }[peer]


_ADD: Final[dict[str, Any]] = {
    "model-router": model_router_service_pb2_grpc.add_ModelRouterServiceServicer_to_server,
    "tool-server": tool_server_service_pb2_grpc.add_ToolServerServiceServicer_to_server,
    "stt": stt_service_pb2_grpc.add_SttServiceServicer_to_server,
    "tts": tts_service_pb2_grpc.add_TtsServiceServicer_to_server,
    "world-model": world_model_service_pb2_grpc.add_WorldModelServiceServicer_to_server,
}
