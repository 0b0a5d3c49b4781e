"""The gateway as an object."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc.aio

from ensemble.client.answers import Answer, AnswerBuilder
from ensemble.client.conversation import PATIENCE_S, Conversation, Gap, Route, raise_failed
from ensemble.client.failures import explain
from ensemble.client.key import default_api_key
from ensemble.core.errors import PeerLostError
from ensemble.transport import open_channel, stream
from ensemble.transport.heartbeat import watch
from ensemble.v1 import (
    gateway_service_pb2,
    gateway_service_pb2_grpc,
    node_service_pb2,
    session_events_pb2,
    session_pb2,
)

DEFAULT_ADDRESS = "127.0.0.1:7700"

_SILENCE = 5.0
"""Seconds without an event, or a heartbeat, after which the gateway counts as lost."""

_WHOLE_RECORD_SECONDS = 60.0
"""What a call may take at least that goes through whole records."""


@dataclass(frozen=True)
class ServiceRow:
    """How one service is; ``engine`` joins several with a comma."""

    name: str
    state: str
    address: str
    transport: str
    engine: str
    detail: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the row that ``ensemble status --json`` prints."""
        return dict(vars(self))


class EnsembleClient:
    """Calls one gateway. Use it as an async context manager.

    Args:
        address: Where the gateway is; the form of the address chooses the transport. Several
            gateways are separated by commas: the first is used, the others when it is lost.
        api_key: Sent as a bearer token; by default ``ENSEMBLE_API_KEY``, else the key file
            under ``ENSEMBLE_HOME``.
        timeout: Seconds that a unary call may take.
        root_certificates: PEM of the authority that signed the gateway's certificate; TLS is
            used when given.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        root_certificates: bytes | None = None,
    ) -> None:
        self._address = address
        self._key = default_api_key() if api_key is None else api_key
        self._timeout = timeout
        self._roots = root_certificates
        self._routes: list[Route] = []

    async def __aenter__(self) -> Self:
        options: dict[str, Any] = {}
        if self._roots is not None:
            options["root_certificates"] = self._roots
        addresses = [part.strip() for part in self._address.split(",") if part.strip()]
        self._routes = [(part, open_channel(part, **options)) for part in addresses]
        self._channel = self._routes[0][1]
        self._stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, channel in self._routes:
            await channel.close()

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._key}"),) if self._key else ()

    def converse(
        self,
        *,
        session_id: str = "",
        config: session_pb2.SessionConfig | None = None,
        resume_from_sequence: int | None = None,
        history: Iterable[session_pb2.HistoryItem] = (),
        request_id: str = "",
        playback: session_events_pb2.PlaybackReport | None = None,
        patience: float = PATIENCE_S,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> Conversation:
        """Return a conversation to enter; an empty ``session_id`` makes a new session.

        Args:
            patience: Seconds for which a lost stream is taken up again by itself.
            on_gap: Told of each loss that was made good.
        """
        start = session_events_pb2.SessionStart(
            session_id=session_id,
            config=config,
            resume_from_sequence=resume_from_sequence,
            history=history,
            request_id=request_id,
            playback=playback,
        )
        return Conversation(
            list(self._routes), start, metadata=self._metadata, patience=patience, on_gap=on_gap
        )

    async def ask(self, text: str, *, session_id: str = "", model: str = "") -> Answer:
        """Ask one typed question and return the whole answer.

        Raises:
            EnsembleError: The answer failed, or the gateway was lost on the way.
        """
        config = session_pb2.SessionConfig(model=model) if model else None
        async with self.converse(session_id=session_id, config=config) as conversation:
            await conversation.send_text(text)
            builder = AnswerBuilder(conversation.session_id)
            turn = ""
            response = ""
            async for event in conversation:
                kind = event.WhichOneof("event")
                if kind == "input_committed" and not turn:
                    turn = event.input_committed.turn_id
                elif kind == "response_started" and event.response_started.turn_id == turn:
                    response = event.response_started.response_id
                if kind == "notice" or (response and _belongs(event, response)):
                    builder.add(event)
                if builder.done is not None:
                    raise_failed(builder.done)
                    return builder.build()
        raise PeerLostError("The conversation ended before the answer did.")

    async def create_session(
        self, config: session_pb2.SessionConfig | None = None, *, request_id: str = ""
    ) -> session_pb2.Session:
        """Make a session."""
        request = gateway_service_pb2.CreateSessionRequest(config=config, request_id=request_id)
        return (await self._unary(self._stub.CreateSession, request)).session  # type: ignore[no-any-return]

    async def get_session(self, session_id: str) -> session_pb2.Session:
        """Return one session; SessionNotFoundError when there is none."""
        request = gateway_service_pb2.GetSessionRequest(session_id=session_id)
        return (await self._unary(self._stub.GetSession, request)).session  # type: ignore[no-any-return]

    async def list_sessions(self, *, limit: int = 50) -> list[session_pb2.Session]:
        """Return up to ``limit`` sessions, the one that changed last first."""
        sessions: list[session_pb2.Session] = []
        token = ""
        while len(sessions) < limit:
            request = gateway_service_pb2.ListSessionsRequest(
                page_size=min(limit - len(sessions), 1000), page_token=token
            )
            answer = await self._unary(self._stub.ListSessions, request)
            sessions.extend(answer.sessions)
            token = answer.next_page_token
            if not token:
                break
        return sessions

    async def replay_session(
        self, session_id: str, *, after_sequence: int = 0, follow: bool = False
    ) -> AsyncGenerator[session_events_pb2.ServerEvent, None]:
        """Yield the record of a session after a sequence, as the log holds it; nothing is run.

        Args:
            session_id: Which session.
            after_sequence: Sequence before the first event that is wanted.
            follow: Go on with events as they are committed; else end with the last one.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        request = gateway_service_pb2.ReplaySessionRequest(
            session_id=session_id, after_sequence=after_sequence, follow=follow
        )
        call = self._stub.ReplaySession(request, metadata=self._metadata)
        async with stream(call), aclosing(watch(call, timeout=_SILENCE)) as responses:
            try:
                async for response in responses:
                    if response.event.WhichOneof("event") != "heartbeat":
                        yield response.event
            except grpc.aio.AioRpcError as error:
                raise explain(error, self._address) from error

    async def verify_session(self, session_id: str) -> session_pb2.SessionAudit:
        """Have the hash chain of a session's record checked."""
        request = gateway_service_pb2.VerifySessionRequest(session_id=session_id)
        answer = await self._unary(
            self._stub.VerifySession, request, max(self._timeout, _WHOLE_RECORD_SECONDS)
        )
        return answer.audit  # type: ignore[no-any-return]

    async def erase_sessions(
        self, session_id: str = "", *, every: bool = False
    ) -> gateway_service_pb2.EraseSessionsResponse:
        """Erase what was said in one session, or in every session of the caller, for good.

        Raises:
            InvalidArgumentError: Neither a session is named nor ``every`` set, or both.
            UnexpectedMessageError: An answer is under way.
        """
        request = gateway_service_pb2.EraseSessionsRequest(session_id=session_id, all=every)
        return await self._unary(  # type: ignore[no-any-return]
            self._stub.EraseSessions, request, max(self._timeout, _WHOLE_RECORD_SECONDS)
        )

    async def status(self) -> list[ServiceRow]:
        """Return how each service is, the gateway first."""
        answer = await self._unary(self._stub.GetStatus, gateway_service_pb2.GetStatusRequest())
        return [
            ServiceRow(
                name=row.name,
                state=node_service_pb2.ServiceState.Name(row.state)
                .removeprefix("SERVICE_STATE_")
                .lower(),
                address=row.address,
                transport=row.transport,
                engine=", ".join(row.engines),
                detail=row.detail,
            )
            for row in answer.services
        ]

    async def _unary(self, method: Any, request: Any, timeout: float | None = None) -> Any:
        limit = self._timeout if timeout is None else timeout
        try:
            return await method(request, metadata=self._metadata, timeout=limit)
        except grpc.aio.AioRpcError as error:
            raise explain(error, self._address) from error


def _belongs(event: session_events_pb2.ServerEvent, response_id: str) -> bool:
    kind = event.WhichOneof("event")
    if kind is None:
        return False
    body = getattr(event, kind)
    return getattr(body, "response_id", None) == response_id
