"""The orchestrators: which one to ask, and where a session is that moved."""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

from ensemble.core.errors import EnsembleError, SessionMovedError
from ensemble.gateway.failures import explain
from ensemble.gateway.ports import Peers
from ensemble.v1 import orchestrator_service_pb2_grpc

_MOVES: Final = 3
"""Moves of a session that one call follows; a client that comes back finds it later."""


class Orchestrators:
    """One call's way to the orchestrator that holds its session.

    Args:
        peers: The channels to them.
        owner: Address of the one to ask first; empty for any.
    """

    def __init__(self, peers: Peers, owner: str = "") -> None:
        self._peers = peers
        self._owner = owner

    async def owners(
        self,
    ) -> AsyncIterator["orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub"]:
        """Yield any one of them, then whoever each says holds the session."""
        if not self._owner:
            yield self._stub(self._peers.get("orchestrator"))
        for _ in range(_MOVES):
            yield self._stub(self._peers.at(self._owner))

    def failed(self, error: EnsembleError, *, final: bool = False) -> None:
        """Take note of why the one yielded last refused.

        Args:
            error: What it said.
            final: It was begun with: there is no going to another one.

        Raises:
            EnsembleError: It is no other one's business.
        """
        owner = error.metadata.get("owner", "")
        if final or not isinstance(error, SessionMovedError) or owner in ("", self._owner):
            raise error
        self._owner = owner

    async def call(self, name: str, request: Any, timeout: float) -> Any:
        """Make the unary call ``name`` of whoever holds the session.

        Raises:
            EnsembleError: It failed.
        """
        async for stub in self.owners():
            try:
                return await getattr(stub, name)(request, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                self.failed(explain(error))
        raise SessionMovedError

    @staticmethod
    def _stub(
        channel: grpc.aio.Channel,
    ) -> "orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub":
        return orchestrator_service_pb2_grpc.OrchestratorServiceStub(channel)
