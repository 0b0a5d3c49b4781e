"""OrchestratorService: the contract on one side, sessions on the other."""

import asyncio
import datetime
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc
import structlog

from ensemble.core.errors import (
    DrainingError,
    EnsembleError,
    PeerLostError,
    ServiceUnavailableError,
    WrongFirstMessageError,
)
from ensemble.core.services import HEARTBEAT_INTERVAL
from ensemble.orchestrator.live import Live
from ensemble.orchestrator.notices import Notices
from ensemble.orchestrator.outbox import Outbox
from ensemble.orchestrator.records import Records
from ensemble.orchestrator.sessions import Owner, Sessions
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.stored import stamp
from ensemble.orchestrator.summary import summarise
from ensemble.transport.context import PRINCIPAL_KEY, TENANT_KEY, trusted
from ensemble.transport.heartbeat import WatchedCaller, with_heartbeats
from ensemble.transport.streams import until_half_close
from ensemble.v1 import (
    common_pb2,
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
)

_LOG = structlog.get_logger()

Requests = AsyncIterator[orchestrator_service_pb2.RunSessionRequest]
Context = grpc.aio.ServicerContext[Any, Any]

_FIRST_SIGN_S: Final = 0.05
"""Seconds after which a stream that cannot begin yet hears that somebody is there."""

_CLIENT_SILENCE_S: Final = 2.0
"""Silence after which a client counts as gone. Longer than between services: it may sit behind a
bad radio link or on a busy machine, and its session waits for it anyway."""


class OrchestratorServicer(orchestrator_service_pb2_grpc.OrchestratorServiceServicer):
    """Serves conversations.

    Args:
        settings: How sessions work.
    """

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._open: tuple[Sessions, Notices, Records] | None = None
        self._settings = settings
        self._draining = False
        self._leaving: set[asyncio.Task[None]] = set()

    def begin(self, sessions: Sessions, notices: Notices, records: Records) -> None:
        """Serve from now on.

        Args:
            sessions: The sessions of this process.
            notices: What falls due.
            records: What the log holds of sessions.
        """
        self._open = sessions, notices, records

    @property
    def _sessions(self) -> Sessions:
        if self._open is None:
            raise ServiceUnavailableError("The orchestrator is still starting.")
        return self._open[0]

    @property
    def _notices(self) -> Notices:
        if self._open is None:
            raise ServiceUnavailableError("The orchestrator is still starting.")
        return self._open[1]

    @property
    def _records(self) -> Records:
        if self._open is None:
            raise ServiceUnavailableError("The orchestrator is still starting.")
        return self._open[2]

    async def RunSession(
        self,
        request_iterator: Requests,
        context: Context,
    ) -> AsyncIterator[orchestrator_service_pb2.RunSessionResponse]:
        """Carry one client's side of a session."""
        self._refuse_when_draining()
        first = await anext(aiter(request_iterator), None)
        if first is None or first.event.WhichOneof("event") != "start":
            raise WrongFirstMessageError
        start = first.event.start
        joining = asyncio.create_task(self._join(start))
        try:
            # One that waits for a dead holder's end says meanwhile that it lives itself.
            pause = _FIRST_SIGN_S
            while not (await asyncio.wait({joining}, timeout=pause))[0]:
                pause = HEARTBEAT_INTERVAL
                yield orchestrator_service_pb2.RunSessionResponse(event=_heartbeat())
        finally:
            joining.cancel()
        live, created = joining.result()
        last = live.session.conversation.session.last_sequence
        if created:
            start.resume_from_sequence = last
        outbox = live.attach(start)
        started = self._started(live, created=created)
        started.caused_by_event_id = first.event.event_id
        reading = asyncio.create_task(self._read(request_iterator, live, outbox))
        try:
            yield orchestrator_service_pb2.RunSessionResponse(event=started)
            await self._notices.deliver_pending(live.session)
            async with aclosing(outbox.events()) as events:
                async for event in events:
                    yield orchestrator_service_pb2.RunSessionResponse(event=event)
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            live.detach(outbox)

    async def HandleTurn(
        self, request: orchestrator_service_pb2.HandleTurnRequest, context: Context
    ) -> orchestrator_service_pb2.HandleTurnResponse:
        """Run one typed turn and return the whole answer."""
        self._refuse_when_draining()
        if request.session_id:
            live = await self._sessions.get(_owner(), request.session_id)
        else:
            live, _ = await self._sessions.open(_owner(), request.config)
        done = await live.inputs.submit_text(request.text)
        return summarise(live.session.conversation, done)

    async def OpenSession(
        self, request: orchestrator_service_pb2.OpenSessionRequest, context: Context
    ) -> orchestrator_service_pb2.OpenSessionResponse:
        """Make a session."""
        self._refuse_when_draining()
        live, _ = await self._sessions.open(
            _owner(), request.config, request.history, request.request_id
        )
        session = live.session.conversation.session
        return orchestrator_service_pb2.OpenSessionResponse(session=session)

    async def DescribeSession(
        self, request: orchestrator_service_pb2.DescribeSessionRequest, context: Context
    ) -> orchestrator_service_pb2.DescribeSessionResponse:
        """Return one session."""
        session = await self._sessions.look(_owner(), request.session_id)
        return orchestrator_service_pb2.DescribeSessionResponse(session=session)

    async def FindSessions(
        self, request: orchestrator_service_pb2.FindSessionsRequest, context: Context
    ) -> orchestrator_service_pb2.FindSessionsResponse:
        """Return sessions, the one that changed last first."""
        sessions, token = await self._sessions.find(_owner(), request.page_size, request.page_token)
        return orchestrator_service_pb2.FindSessionsResponse(
            sessions=sessions, next_page_token=token
        )

    async def ReadRecord(
        self, request: orchestrator_service_pb2.ReadRecordRequest, context: Context
    ) -> AsyncIterator[orchestrator_service_pb2.ReadRecordResponse]:
        """Send the record of a session from its log."""
        events = self._records.read(
            _owner(), request.session_id, request.after_sequence, follow=request.follow
        )
        async with aclosing(with_heartbeats(events, _heartbeat)) as beating:
            async for event in beating:
                yield orchestrator_service_pb2.ReadRecordResponse(event=event)

    async def AuditRecord(
        self, request: orchestrator_service_pb2.AuditRecordRequest, context: Context
    ) -> orchestrator_service_pb2.AuditRecordResponse:
        """Check the hash chain of a session's record."""
        audit = await self._records.audit(_owner(), request.session_id)
        return orchestrator_service_pb2.AuditRecordResponse(audit=audit)

    async def EraseRecords(
        self, request: orchestrator_service_pb2.EraseRecordsRequest, context: Context
    ) -> orchestrator_service_pb2.EraseRecordsResponse:
        """Erase what was said in sessions."""
        return await self._records.erase(_owner(), request.session_id)

    async def drain(self) -> None:
        """Tell every open stream that this orchestrator leaves, take no new ones, and let others
        have each session as soon as nothing is under way in it."""
        self._draining = True
        if self._open is None:
            return
        grace = datetime.timedelta(seconds=self._settings.drain_s)
        leaves = datetime.datetime.now(datetime.UTC) + grace
        for live in list(self._sessions.live):
            event = session_events_pb2.ServerEvent()
            event.going_away.deadline.FromDatetime(leaves)
            live.session.post(event)
            leaving = asyncio.create_task(self._sessions.hand_over(live))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """End what is left of draining."""
        for leaving in list(self._leaving):
            leaving.cancel()

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise DrainingError

    async def _join(self, start: session_events_pb2.SessionStart) -> tuple[Live, bool]:
        if start.session_id:
            return await self._sessions.get(_owner(), start.session_id), False
        return await self._sessions.open(_owner(), start.config, start.history, start.request_id)

    def _started(self, live: Live, *, created: bool) -> session_events_pb2.ServerEvent:
        conversation = live.session.conversation
        event = session_events_pb2.ServerEvent()
        stamp(event)
        started = event.started
        started.session.CopyFrom(conversation.session)
        started.resumed = not created
        started.input.CopyFrom(conversation.accepted)
        started.playback_lead.FromMilliseconds(self._settings.playback_lead_ms)
        if conversation.config.HasField("output_audio"):
            started.output_audio.CopyFrom(conversation.config.output_audio)
        event.event_id = f"{live.session.session_id}.0"
        if created:
            # The making of the session is the first event of its record.
            event.sequence = conversation.session.last_sequence
            event.event_id = f"{live.session.session_id}.{event.sequence}"
        return event

    async def _read(self, requests: Requests, live: Live, outbox: Outbox) -> None:
        """Take in what the client sends, until it has nothing more to say or is gone."""
        # A person may be silent for as long as they like.
        caller = WatchedCaller(
            requests, _is_heartbeat, timeout=_CLIENT_SILENCE_S, mute_timeout=math.inf
        )
        try:
            async for request in until_half_close(caller.requests()):
                if not outbox.is_open:
                    return
                await live.inputs.handle(request.event, outbox)
            await live.inputs.finish()
            outbox.end()
        except EnsembleError as exc:
            outbox.end(exc)
        except Exception as exc:
            _LOG.info("client_gone", session_id=live.session.session_id, error=type(exc).__name__)
            outbox.end(PeerLostError())


def _heartbeat() -> session_events_pb2.ServerEvent:
    event = session_events_pb2.ServerEvent(heartbeat=common_pb2.Heartbeat())
    event.heartbeat.sent_at.GetCurrentTime()
    return event


def _is_heartbeat(request: orchestrator_service_pb2.RunSessionRequest) -> bool:
    return request.event.HasField("heartbeat")


def _owner() -> Owner:
    known = trusted.get()
    return Owner(known.get(TENANT_KEY, ""), known.get(PRINCIPAL_KEY, ""))
