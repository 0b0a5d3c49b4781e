"""The orchestrators: which one to ask, and where a session is that moved."""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

from ensemble.core.errors import (
    DrainingError,
    EnsembleError,
    PeerLostError,
    ServiceUnavailableError,
    SessionMovedError,
)
from ensemble.gateway.failures import explain
from ensemble.gateway.ports import Peers
from ensemble.v1 import orchestrator_service_pb2_grpc

_TRIES: Final = 4
"""Orchestrators that one call is tried at; a client that comes back finds its session later."""

_ELSEWHERE: Final = (DrainingError, PeerLostError, ServiceUnavailableError)
"""Another one may serve what was refused like this before it was begun with."""


class Orchestrators:
    """One call's way to the orchestrator that holds its session.

    Args:
        peers: The channels to them.
        owner: Address of the one to ask first; empty for any.

    Attributes:
        refusal: What the last one said.
    """

    def __init__(self, peers: Peers, owner: str = "") -> None:
        self._peers = peers
        self._owner = owner
        self.refusal: EnsembleError = SessionMovedError()

    def any_one(self) -> "orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub":
        """Return any one of them: each can read what all have recorded."""
        return self._stub(self._peers.get("orchestrator"))

    async def owners(
        self,
    ) -> AsyncIterator["orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub"]:
        """Yield any one of them, then whoever each says holds the session, or the next one."""
        for _ in range(_TRIES):
            yield self._stub(self._peers.at(self._owner)) if self._owner else self.any_one()

    def failed(self, error: EnsembleError, *, final: bool = False) -> None:
        """Take note of why the one yielded last refused.

        Args:
            error: What it said.
            final: It was begun with: there is no going to another one.

        Raises:
            EnsembleError: It is no other one's business.
        """
        self.refusal = error
        owner = error.metadata.get("owner", "")
        if isinstance(error, SessionMovedError) and owner not in ("", self._owner) and not final:
            self._owner = owner
        elif isinstance(error, _ELSEWHERE) and not final:
            self._owner = ""
        else:
            raise error

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
        raise self.refusal

    @staticmethod
    def _stub(
        channel: grpc.aio.Channel,
    ) -> "orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub":
        return orchestrator_service_pb2_grpc.OrchestratorServiceStub(channel)
