"""The gateway as an object."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc.aio

from ensemble.client.answers import Answer, AnswerBuilder
from ensemble.client.conversation import PATIENCE_S, Conversation, Gap
from ensemble.client.failures import explain, is_loss, raise_failed
from ensemble.client.key import default_api_key
from ensemble.core.errors import ConfigurationError, EnsembleError, PeerLostError
from ensemble.core.ids import new_id
from ensemble.transport import Tls, open_channel, stream
from ensemble.transport.heartbeat import watch
from ensemble.transport.status import not_reached
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

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0

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
        self._key = default_api_key() if api_key is None else api_key
        self._timeout = timeout
        self._roots = root_certificates
        self._addresses = [part.strip() for part in address.split(",") if part.strip()]
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        if not self._addresses:
            raise ConfigurationError("No address of a gateway is given.")
        for address in self._addresses:
            self._dial(address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    def _dial(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            tls = Tls(root_certificates=self._roots) if self._roots is not None else None
            self._channels[address] = open_channel(address, tls=tls)
        return self._channels[address]

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
        connect_within: float = 0.0,
        on_lost: Callable[[EnsembleError], None] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> Conversation:
        """Return a conversation to enter; an empty ``session_id`` makes a new session.

        Args:
            playback: What was heard of the answer under way. Give an empty one where speech is
                played and ``report_playback`` says how far: what was on its way when a link
                stalled is then never taken as heard.
            patience: Seconds for which a lost stream is taken up again by itself.
            connect_within: Seconds for which the first stream is tried.
            on_lost: Told why a stream was lost, when trying again begins.
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
            self._addresses,
            self._dial,
            start,
            metadata=self._metadata,
            patience=patience,
            connect_within=connect_within,
            on_lost=on_lost,
            on_gap=on_gap,
        )

    async def ask(
        self,
        text: str,
        *,
        session_id: str = "",
        model: str = "",
        patience: float = PATIENCE_S,
        connect_within: float = 0.0,
        on_lost: Callable[[EnsembleError], None] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> Answer:
        """Ask one typed question and return the whole answer.

        Args:
            text: The question.
            session_id: Session to go on with; empty makes one.
            model: Registry name of the model that is to answer; empty for the server's choice.
            patience, connect_within, on_lost, on_gap: See ``converse``.

        Raises:
            EnsembleError: The answer failed, or the gateway was lost on the way.
        """
        config = session_pb2.SessionConfig(model=model) if model else None
        async with self.converse(
            session_id=session_id,
            config=config,
            patience=patience,
            connect_within=connect_within,
            on_lost=on_lost,
            on_gap=on_gap,
        ) as conversation:
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
        request = gateway_service_pb2.CreateSessionRequest(
            config=config, request_id=request_id or new_id("req")
        )
        return (await self._unary("CreateSession", request)).session  # type: ignore[no-any-return]

    async def get_session(self, session_id: str) -> session_pb2.Session:
        """Return one session; SessionNotFoundError when there is none."""
        request = gateway_service_pb2.GetSessionRequest(session_id=session_id)
        return (await self._unary("GetSession", request)).session  # type: ignore[no-any-return]

    async def list_sessions(self, *, limit: int = 50) -> list[session_pb2.Session]:
        """Return up to ``limit`` sessions, the one that changed last first."""
        sessions: list[session_pb2.Session] = []
        token = ""
        while len(sessions) < limit:
            request = gateway_service_pb2.ListSessionsRequest(
                page_size=min(limit - len(sessions), 1000), page_token=token
            )
            answer = await self._unary("ListSessions", request)
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
        seen, since, pause = after_sequence, 0.0, _FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while True:
            try:
                async for event in self._replay(request):
                    seen, since, pause = max(seen, event.sequence), 0.0, _FIRST_PAUSE_S
                    yield event
                return
            except EnsembleError as error:
                since = since or loop.time()
                # Only what has begun is gone on with: who asks first hears at once.
                known = seen > after_sequence or len(self._addresses) > 1
                if not (known and is_loss(error)) or loop.time() - since >= PATIENCE_S:
                    raise
            request.after_sequence = seen
            self._addresses.append(self._addresses.pop(0))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _replay(
        self, request: gateway_service_pb2.ReplaySessionRequest
    ) -> AsyncGenerator[session_events_pb2.ServerEvent, None]:
        address = self._addresses[0]
        call = self._stub(address).ReplaySession(request, metadata=self._metadata)
        async with stream(call), aclosing(watch(call, timeout=_SILENCE)) as responses:
            try:
                async for response in responses:
                    if response.event.WhichOneof("event") != "heartbeat":
                        yield response.event
            except grpc.aio.AioRpcError as error:
                raise explain(error, address) from error

    async def verify_session(self, session_id: str) -> session_pb2.SessionAudit:
        """Have the hash chain of a session's record checked."""
        request = gateway_service_pb2.VerifySessionRequest(session_id=session_id)
        answer = await self._unary(
            "VerifySession", request, max(self._timeout, _WHOLE_RECORD_SECONDS)
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
            "EraseSessions", request, max(self._timeout, _WHOLE_RECORD_SECONDS)
        )

    async def status(self) -> list[ServiceRow]:
        """Return how each service is, the gateway first."""
        answer = await self._unary("GetStatus", gateway_service_pb2.GetStatusRequest())
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

    def _stub(self, address: str) -> "gateway_service_pb2_grpc.GatewayServiceAsyncStub":
        return gateway_service_pb2_grpc.GatewayServiceStub(self._dial(address))

    async def _unary(self, method: str, request: Any, timeout: float | None = None) -> Any:
        """Call the first gateway that can be reached; it is asked first from then on."""
        limit = self._timeout if timeout is None else timeout
        left = len(self._addresses)
        while True:
            address = self._addresses[0]
            call = getattr(self._stub(address), method)
            left -= 1
            try:
                return await call(request, metadata=self._metadata, timeout=limit)
            except grpc.aio.AioRpcError as error:
                # Each of these calls may come twice: a second one changes nothing.
                if not left or not not_reached(error):
                    raise explain(error, address) from error
                self._addresses.append(self._addresses.pop(0))


def _belongs(event: session_events_pb2.ServerEvent, response_id: str) -> bool:
    kind = event.WhichOneof("event")
    if kind is None:
        return False
    body = getattr(event, kind)
    return getattr(body, "response_id", None) == response_id
