"""Composition root of the gateway."""

from collections.abc import Mapping

import grpc.aio
from google.protobuf import timestamp_pb2

from ensemble.gateway.keys import KeyRing, ensure_key_file
from ensemble.gateway.limits import RateLimit, StreamLimit
from ensemble.gateway.ports import Peers
from ensemble.gateway.servicer import GatewayServicer
from ensemble.gateway.settings import GatewaySettings
from ensemble.runtime.addresses import dial_address
from ensemble.runtime.service import Authenticator, Service
from ensemble.transport.context import PRINCIPAL_KEY, TENANT_KEY
from ensemble.v1 import gateway_service_pb2_grpc, node_service_pb2, session_events_pb2

DEFAULT_TENANT = "default"


class GatewayService(Service):
    """The door, on any server."""

    name = "gateway"

    def __init__(self, settings: GatewaySettings, channels: Peers) -> None:
        self._settings = settings
        self._address = dial_address(self.name)
        self._servicer = GatewayServicer(
            channels,
            self._describe,
            rate=RateLimit(settings.requests_per_second, settings.burst),
            streams=StreamLimit(settings.max_streams),
            first_answer=settings.first_answer,
            peer_silence=settings.peer_silence,
        )

    def authenticator(self) -> Authenticator:
        """Return what tells the callers apart: their API keys."""
        keys = KeyRing(self._settings.api_key_file)

        async def authenticate(method: str, metadata: Mapping[str, str]) -> Mapping[str, str]:
            del method
            principal = keys.principal(metadata.get("authorization", ""))
            return {PRINCIPAL_KEY: principal, TENANT_KEY: DEFAULT_TENANT}

        return authenticate

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the servicer to ``server``."""
        gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(self._servicer, server)

    def _describe(self) -> node_service_pb2.ServiceStatus:
        """Return the gateway's own row: it answers, so it serves."""
        return node_service_pb2.ServiceStatus(
            name=self.name,
            state=node_service_pb2.SERVICE_STATE_SERVING,
            address=self._address,
            transport="unix" if self._address.startswith("unix:") else "tcp",
        )

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


def build(settings: GatewaySettings, channels: Peers) -> Service:
    """Return the service, ready to be placed."""
    return GatewayService(settings, channels)
