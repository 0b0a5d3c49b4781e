"""gRPC side of the gateway."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio

from ensemble.core.errors import DrainingError, InvalidArgumentError
from ensemble.gateway import census
from ensemble.gateway.erasure import erase
from ensemble.gateway.limits import RateLimit, StreamLimit
from ensemble.gateway.orchestrators import Orchestrators
from ensemble.gateway.ports import Peers
from ensemble.gateway.relay import relay
from ensemble.gateway.replay import replay
from ensemble.transport import context as call_context
from ensemble.v1 import (
    gateway_service_pb2,
    gateway_service_pb2_grpc,
    node_service_pb2,
    orchestrator_service_pb2,
    session_events_pb2,
)

_UNARY_SECONDS = 5.0
"""Longest wait for the orchestrator's answer to a unary call."""

_WHOLE_RECORD_SECONDS = 60.0
"""The same for one that goes through whole records."""


class GatewayServicer(gateway_service_pb2_grpc.GatewayServiceServicer):
    """Admits clients and passes on what they say."""

    def __init__(
        self,
        channels: Peers,
        describe: Callable[[], node_service_pb2.ServiceStatus],
        *,
        rate: RateLimit,
        streams: StreamLimit,
        first_answer: float,
        peer_silence: float,
    ) -> None:
        self._channels = channels
        self._describe = describe
        self._rate = rate
        self._streams = streams
        self._first_answer = first_answer
        self._silence = peer_silence
        self._going_away: session_events_pb2.GoingAway | None = None

    def leave(self, notice: session_events_pb2.GoingAway) -> None:
        """Tell every open conversation to move, and take no new one."""
        self._going_away = notice

    async def Converse(
        self,
        request_iterator: AsyncIterator[gateway_service_pb2.ConverseRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[gateway_service_pb2.ConverseResponse]:
        """Carry a conversation."""
        del context
        if self._going_away is not None:
            raise DrainingError
        principal = _principal()
        self._rate.check(principal)

        async def admit() -> None:
            await self._rate.wait(principal)

        with self._streams.hold(principal):
            async for response in relay(
                request_iterator,
                Orchestrators(self._channels),
                admit=admit,
                leaving=lambda: self._going_away,
                first_answer=self._first_answer,
                silence=self._silence,
            ):
                yield response

    async def CreateSession(
        self,
        request: gateway_service_pb2.CreateSessionRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> gateway_service_pb2.CreateSessionResponse:
        """Make a session."""
        answer = await self._forward(
            "OpenSession",
            orchestrator_service_pb2.OpenSessionRequest(
                config=request.config if request.HasField("config") else None,
                history=request.history,
                request_id=request.request_id,
            ),
        )
        return gateway_service_pb2.CreateSessionResponse(session=answer.session)

    async def GetSession(
        self,
        request: gateway_service_pb2.GetSessionRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> gateway_service_pb2.GetSessionResponse:
        """Return one session."""
        answer = await self._forward(
            "DescribeSession",
            orchestrator_service_pb2.DescribeSessionRequest(session_id=request.session_id),
        )
        return gateway_service_pb2.GetSessionResponse(session=answer.session)

    async def ListSessions(
        self,
        request: gateway_service_pb2.ListSessionsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> gateway_service_pb2.ListSessionsResponse:
        """Return sessions, the one that changed last first."""
        answer = await self._forward(
            "FindSessions",
            orchestrator_service_pb2.FindSessionsRequest(
                page_size=request.page_size, page_token=request.page_token
            ),
        )
        return gateway_service_pb2.ListSessionsResponse(
            sessions=answer.sessions, next_page_token=answer.next_page_token
        )

    async def ReplaySession(
        self,
        request: gateway_service_pb2.ReplaySessionRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[gateway_service_pb2.ReplaySessionResponse]:
        """Send the record of a session."""
        del context
        if self._going_away is not None:
            raise DrainingError
        principal = _principal()
        self._rate.check(principal)
        with self._streams.hold(principal):
            async for response in replay(
                request,
                Orchestrators(self._channels).any_one(),
                leaving=lambda: self._going_away is not None,
                silence=self._silence,
            ):
                yield response

    async def VerifySession(
        self,
        request: gateway_service_pb2.VerifySessionRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> gateway_service_pb2.VerifySessionResponse:
        """Check the record of a session."""
        answer = await self._forward(
            "AuditRecord",
            orchestrator_service_pb2.AuditRecordRequest(session_id=request.session_id),
            timeout=_WHOLE_RECORD_SECONDS,
        )
        return gateway_service_pb2.VerifySessionResponse(audit=answer.audit)

    async def EraseSessions(
        self,
        request: gateway_service_pb2.EraseSessionsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> gateway_service_pb2.EraseSessionsResponse:
        """Erase one session, or everything of the caller."""
        if bool(request.session_id) == request.all:
            raise InvalidArgumentError(
                violations={"session_id": "name one session, or set `all` and name none"}
            )
        self._rate.check(_principal())
        return await erase(self._channels, request.session_id)

    async def GetStatus(
        self,
        request: gateway_service_pb2.GetStatusRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> gateway_service_pb2.GetStatusResponse:
        """Return how each service is."""
        self._rate.check(_principal())
        rows = [self._describe(), *await census.take(self._channels)]
        return gateway_service_pb2.GetStatusResponse(services=rows)

    async def _forward(self, method: str, request: Any, timeout: float = _UNARY_SECONDS) -> Any:
        self._rate.check(_principal())
        return await Orchestrators(self._channels).call(method, request, timeout)


def _principal() -> str:
    return call_context.trusted.get().get(call_context.PRINCIPAL_KEY, "local")
