"""What of a session stands in the log, and how it gets there: committed, then sent."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.core.errors import EnsembleError
from ensemble.eventlog import Append, Event, EventLog, StreamKey
from ensemble.orchestrator.conversation import Conversation
from ensemble.v1 import orchestrator_service_pb2, session_events_pb2

CREATED: Final = "session_created"
"""Type of a session's first event; its payload is the request that made it."""

OPEN: Final = "open"
"""Mark of a session in which an answer has begun and not ended."""

_SEGMENT_TOKENS: Final = 256
"""Tokens of text in one event at most."""

_PENDING_LIMIT: Final = 64
"""Events that wait for the writer before those who add them have to wait too."""

_PAGE: Final = 256


def session_key(session_id: str) -> StreamKey:
    """Return the log stream of a session."""
    return StreamKey("session", session_id)


def decode(event: Event) -> session_events_pb2.ServerEvent:
    """Return a logged event as clients get it, the same each time; an erased one is empty."""
    if event.type == CREATED:
        made = orchestrator_service_pb2.OpenSessionRequest.FromString(event.payload)
        server_event = session_events_pb2.ServerEvent()
        session = server_event.started.session
        session.session_id = event.stream.name
        session.config.CopyFrom(made.config)
        session.last_sequence = event.seq
        server_event.created_at.FromNanoseconds(event.created_at)
        session.create_time.CopyFrom(server_event.created_at)
        session.update_time.CopyFrom(server_event.created_at)
    else:
        server_event = session_events_pb2.ServerEvent.FromString(event.payload)
        if event.erased:
            server_event.created_at.FromNanoseconds(event.created_at)
    return _place(server_event, event.stream.name, event.seq)


def _place(
    event: session_events_pb2.ServerEvent, session_id: str, seq: int
) -> session_events_pb2.ServerEvent:
    event.sequence = seq
    event.event_id = f"{session_id}.{seq}"
    return event


async def load(log: EventLog, session_id: str) -> Conversation | None:
    """Return the conversation as the log tells it; None if there is no such session."""
    conversation = Conversation(session_id)
    after = 0
    while page := await log.read(session_key(session_id), after, _PAGE):
        for event in page:
            decoded = decode(event)
            if event.type == CREATED:
                made = orchestrator_service_pb2.OpenSessionRequest.FromString(event.payload)
                conversation.create(event.seq, made)
                conversation.session.create_time.CopyFrom(decoded.created_at)
                conversation.session.update_time.CopyFrom(decoded.created_at)
            else:
                conversation.apply(decoded)
        after = page[-1].seq
        if len(page) < _PAGE:
            break
    return conversation if after else None


@dataclass(slots=True)
class _Pending:
    event: session_events_pb2.ServerEvent
    mark: str | None
    also: Sequence[Append]


class Recorder:
    """Writes one session's events: whatever waits when the writer is free goes at once.

    Args:
        log: Where to.
        conversation: Whose events.
        fence: Of the instance that holds it.
        on_committed: Told each event once it is durable, in order.
        on_failed: Told why a commit failed; everything that waited is dropped.
    """

    def __init__(
        self,
        log: EventLog,
        conversation: Conversation,
        fence: int,
        *,
        on_committed: Callable[[session_events_pb2.ServerEvent], None],
        on_failed: Callable[[EnsembleError], None],
    ) -> None:
        self._log = log
        self._key = session_key(conversation.session.session_id)
        self._conversation = conversation
        self._fence = fence
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._pending: list[_Pending] = []
        self._added = 0
        self._settled = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be written."""
        return self._writing is None

    def add(
        self,
        event: session_events_pb2.ServerEvent,
        *,
        mark: str | None = None,
        also: Sequence[Append] = (),
        urgent: bool = True,
    ) -> None:
        """Have ``event`` written with whatever else waits.

        Args:
            event: One that belongs to the record.
            mark: New mark of the session's stream.
            also: Events of other streams, written in the same transaction.
            urgent: Write it now; else with the next event that is, or the next ``flush``.
        """
        event.created_at.GetCurrentTime()
        if not self._joined(event):
            self._pending.append(_Pending(event, mark, also))
        self._added += 1
        if urgent:
            self._begin()

    def _joined(self, event: session_events_pb2.ServerEvent) -> bool:
        """Text that waits and text that follows it are one segment, as far as it may grow."""
        if not self._pending or event.WhichOneof("event") != "response_text_delta":
            return False
        last = self._pending[-1].event
        if last.WhichOneof("event") != "response_text_delta":
            return False
        old, new = last.response_text_delta, event.response_text_delta
        tokens = old.token_count + new.token_count
        # Where the provider does not count, a token is taken to be one code point at least.
        size = tokens or len(old.text) + len(new.text)
        if old.response_id != new.response_id or size > _SEGMENT_TOKENS:
            return False
        old.text += new.text
        old.token_count = tokens
        return True

    async def room(self) -> None:
        """Wait while too much waits to be written.

        Raises:
            EnsembleError: It could not be written.
        """
        if len(self._pending) >= _PENDING_LIMIT:
            await self.flush()

    async def flush(self) -> None:
        """Wait until everything added so far is durable.

        Raises:
            EnsembleError: It could not be written.
        """
        if self._settled >= self._added:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._added, done))
        self._begin()
        await done

    def _begin(self) -> None:
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                target = self._added
                try:
                    await self._commit(batch)
                except EnsembleError as exc:
                    self._pending.clear()
                    self._settle(self._added, exc)
                    self._on_failed(exc)
                else:
                    self._settle(target, None)
        finally:
            self._writing = None

    async def _commit(self, batch: list[_Pending]) -> None:
        appends: list[Append] = []
        places: list[int] = []
        for pending in batch:
            places.append(len(appends))
            kind = pending.event.WhichOneof("event") or ""
            payload = pending.event.SerializeToString()
            # Nobody else writes to it; where somebody does, or a commit whose outcome was not
            # known took place after all, what is in memory is not what the log says.
            last = None if appends else self._conversation.session.last_sequence
            appends.append(Append(self._key, kind, payload, mark=pending.mark, expected_seq=last))
            appends.extend(pending.also)
        seqs = await self._log.append(appends, fence=self._fence)
        for pending, place in zip(batch, places, strict=True):
            self._on_committed(_place(pending.event, self._key.name, seqs[place]))

    def _settle(self, upto: int, error: EnsembleError | None) -> None:
        self._settled = upto
        waiting, self._waiting = self._waiting, []
        for target, done in waiting:
            if target > upto:
                self._waiting.append((target, done))
            elif not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
