"""The standard health service: one answer a gRPC service, and ``""`` for the whole process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Status = health_pb2.HealthCheckResponse

SERVICE_NAME: Final = "grpc.health.v1.Health"
SERVING: int = _Status.SERVING
NOT_SERVING: int = _Status.NOT_SERVING


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers Check and Watch. A name it was never told of is NOT_FOUND, so that a misspelt
    health check can never pass. (The servicer that comes with grpcio writes its stream by
    ``context.write``; ours is a generator as every handler here.)
    """

    def __init__(self) -> None:
        self._states: dict[str, int] = {"": NOT_SERVING}
        self._changed = asyncio.Event()
        self._leaving = False

    def add_to(self, server: Any) -> None:
        """Answer on ``server``."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    def set(self, service: str, state: int) -> None:
        """Say how ``service`` is; ignored once the process is leaving."""
        if not self._leaving:
            self._states[service] = state
            self._wake()

    def leave(self) -> None:
        """Say NOT_SERVING for everything, for good."""
        self._leaving = True
        self._states = dict.fromkeys(self._states, NOT_SERVING)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(  # noqa: N802 - named by the contract
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """Return how a service is now."""
        state = self._states.get(request.service)
        if state is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _Status(status=state)

    async def Watch(  # noqa: N802 - named by the contract
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """Stream how a service is: at once, then at each change."""
        last: int | None = None
        while True:
            changed = self._changed
            state = self._states.get(request.service, _Status.SERVICE_UNKNOWN)
            if state != last:
                last = state
                yield _Status(status=state)
            await changed.wait()
