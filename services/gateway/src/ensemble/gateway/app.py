"""Composition root of the gateway."""

import grpc.aio
from google.protobuf import timestamp_pb2

from ensemble.gateway.keys import KeyRing, ensure_key_file
from ensemble.gateway.limits import RateLimit, StreamLimit
from ensemble.gateway.servicer import GatewayServicer
from ensemble.gateway.settings import GatewaySettings
from ensemble.runtime.service import Channels, Service
from ensemble.v1 import gateway_service_pb2_grpc, session_events_pb2


class GatewayService(Service):
    """The door, on any server."""

    name = "gateway"

    def __init__(self, settings: GatewaySettings, channels: Channels) -> None:
        self._settings = settings
        self._keys = KeyRing(settings.api_key_file)
        self._servicer = GatewayServicer(
            channels,
            rate=RateLimit(settings.requests_per_second, settings.burst),
            streams=StreamLimit(settings.max_streams),
            peer_silence=settings.peer_silence,
        )

    def authenticate(self, authorization: str) -> str:
        """Return the principal that an ``authorization`` header stands for."""
        return self._keys.principal(authorization)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the servicer to ``server``."""
        gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Make the key file at the first run."""
        ensure_key_file(self._settings.api_key_file)

    async def drain(self) -> None:
        """Tell open conversations to move to another gateway."""
        deadline = timestamp_pb2.Timestamp()
        deadline.GetCurrentTime()
        deadline.seconds += round(self._settings.drain_seconds)
        self._servicer.leave(
            session_events_pb2.GoingAway(gateways=self._settings.peers, deadline=deadline)
        )


def build(settings: GatewaySettings, channels: Channels) -> Service:
    """Return the service, ready to be placed."""
    return GatewayService(settings, channels)
