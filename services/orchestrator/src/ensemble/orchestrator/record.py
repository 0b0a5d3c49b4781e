"""What of a session stands in the log, and how it gets there: committed, then sent."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ensemble.core.errors import EnsembleError
from ensemble.eventlog import Append, EventLog
from ensemble.orchestrator.conversation import Conversation
from ensemble.orchestrator.stored import (
    Work,
    encode,
    place,
    session_key,
)
from ensemble.v1 import session_events_pb2

OPEN: Final = "open"
"""Mark of a session in which an answer has begun and not ended."""

_SEGMENT_TOKENS: Final = 256
"""Tokens of text in one event at most."""

_PENDING_LIMIT: Final = 64
"""Events that wait for the writer before those who add them have to wait too."""


_SNAPSHOT_TURNS: Final = 16
"""Answers after which the state is noted, so that a session need not be read from its start."""


@dataclass(slots=True)
class _Pending:
    event: session_events_pb2.ServerEvent
    kind: str
    mark: str | None
    also: Sequence[Append]
    pieces: list[str] = field(default_factory=list)
    """Text that joins the event's own. It is put together once: each string that a message was
    ever given stays in its memory."""
    length: int = 0

    def closed(self) -> session_events_pb2.ServerEvent:
        """Return the event with all of its text."""
        if self.pieces:
            delta = self.event.response_text_delta
            delta.text = "".join((delta.text, *self.pieces))
            self.pieces.clear()
        return self.event


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
        begun = conversation.open_answer
        self._work = Work(begun.response_id, begun.began, begun.model) if begun else Work()
        self._fence = fence
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._pending: list[_Pending] = []
        self._added = self._due = self._settled = 0
        """How many events were added, are to be written now, and are through with."""
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
        kind = event.WhichOneof("event") or ""
        if kind != "response_text_delta" or not self._joined(event.response_text_delta):
            self._pending.append(_Pending(event, kind, mark, also))
        self._added += 1
        if urgent:
            self._begin()

    def _joined(self, new: session_events_pb2.ResponseTextDelta) -> bool:
        """Text that waits and text that follows it are one segment, as far as it may grow."""
        if not self._pending or self._pending[-1].kind != "response_text_delta":
            return False
        last = self._pending[-1]
        old = last.event.response_text_delta
        tokens = old.token_count + new.token_count
        # Where the provider does not count, a token is taken to be one code point at least.
        length = (last.length or len(old.text)) + len(new.text)
        if old.response_id != new.response_id or (tokens or length) > _SEGMENT_TOKENS:
            return False
        last.pieces.append(new.text)
        last.length = length
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
        self._due = self._added
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._settled < self._due:
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
        session = self._conversation.session
        # What is sent says the same as what is read again; the log's time never turns round.
        now = max(time.time_ns(), session.update_time.ToNanoseconds())
        for pending in batch:
            event = pending.closed()
            places.append(len(appends))
            execution = self._work.execution(event, pending.kind, now)
            payload, text = encode(event, pending.kind, self._work.response_id)
            append = Append(
                self._key,
                pending.kind,
                payload,
                text=text,
                # Nobody else writes to it; where somebody does, or a commit whose outcome was
                # not known took place after all, what is in memory is not what the log says.
                expected_seq=None if appends else session.last_sequence,
                mark=pending.mark,
                execution=execution,
                snapshot=None if appends else self._snapshot(pending.kind),
            )
            appends.append(append)
            appends.extend(pending.also)
        seqs = await self._log.append(appends, fence=self._fence, at=now)
        for pending, at in zip(batch, places, strict=True):
            self._on_committed(place(pending.event, self._key.name, seqs[at], now))

    def _snapshot(self, kind: str) -> bytes | None:
        """Return the state before a turn, now and then; the turn itself is read in any case."""
        turns = self._conversation.session.turn_count
        if kind != "input_committed" or not turns or turns % _SNAPSHOT_TURNS:
            return None
        return msgspec.msgpack.encode(self._conversation.state)

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
