"""What is on its way to one client: bounded, in order, and nothing of the record lost."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EnsembleError
from ensemble.v1 import common_pb2, session_events_pb2

ReadRecord = Callable[[int, int], Awaitable[list[session_events_pb2.ServerEvent]]]
"""Returns logged events after a sequence, at most so many."""

_LIMIT: Final = 128
"""Events kept for a client that is slow; beyond it the record is read from the log again."""

_PAGE: Final = 64


@dataclass(slots=True)
class _Gap:
    """Events of the record, ``first`` to ``last``, that are to be read from the log."""

    first: int
    last: int


class Outbox:
    """Events for one client stream.

    Args:
        stream_id: Id of the stream; ids of events outside the record begin with it.
        read: Reads the session's record.
    """

    def __init__(self, stream_id: str, read: ReadRecord) -> None:
        self.stream_id = stream_id
        self._read = read
        self._queue: deque[session_events_pb2.ServerEvent | _Gap] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._credit = CreditWindow()
        self._limited = False
        self._count = 0
        self._ended = False
        self._error: EnsembleError | None = None

    @property
    def is_open(self) -> bool:
        """More may be put into it."""
        return not self._ended

    def grant(self, events: int) -> None:
        """Let so many events more go out; the first grant ends the time without limit."""
        if self._limited:
            self._credit.grant(events)
        else:
            self._limited = True
            self._credit = CreditWindow(events)

    def replay(self, after: int, last: int) -> None:
        """Have the record after ``after`` up to ``last`` read from the log first."""
        if last > after:
            self._append(_Gap(after + 1, last))

    def post(self, event: session_events_pb2.ServerEvent) -> None:
        """Add an event without waiting; one of the record that does not fit is read later."""
        if self._ended:
            return
        seq = event.sequence
        if not seq:
            self._append(self._stamp(event))
        elif len(self._queue) < _LIMIT:
            self._append(event)
        elif isinstance(tail := self._queue[-1], _Gap) and tail.last == seq - 1:
            tail.last = seq
        else:
            self._append(_Gap(seq, seq))

    async def put(self, event: session_events_pb2.ServerEvent) -> bool:
        """Add an event once there is room; False when the client is gone."""
        while not self._ended and len(self._queue) >= _LIMIT:
            self._room.clear()
            await self._room.wait()
        self.post(event)
        return not self._ended

    def drop_audio(self, response_id: str) -> None:
        """Forget speech of a response that was not sent yet."""
        kept = [
            item
            for item in self._queue
            if isinstance(item, _Gap)
            or item.WhichOneof("event") != "response_audio_delta"
            or item.response_audio_delta.response_id != response_id
        ]
        self._queue = deque(kept)
        self._room.set()

    def end(self, error: EnsembleError | None = None) -> None:
        """End the stream: after what is queued, or at once with ``error``."""
        if self._ended and error is None:
            return
        self._ended = True
        self._error = self._error or error
        if error is not None:
            self._credit.grant(1)  # for one that waits for credit and must see the error
        self._news.set()
        self._room.set()

    async def events(self) -> AsyncIterator[session_events_pb2.ServerEvent]:
        """Yield the events, each once, until the stream ends.

        Raises:
            EnsembleError: What ``end`` was given.
        """
        while True:
            if self._error is not None:
                raise self._error
            if not self._queue:
                if self._ended:
                    return
                self._news.clear()
                await self._news.wait()
                continue
            item = self._queue.popleft()
            self._room.set()
            async for event in self._fill(item) if isinstance(item, _Gap) else _one(item):
                await self._credit.take()
                if self._error is not None:
                    raise self._error
                yield event

    async def _fill(self, gap: _Gap) -> AsyncIterator[session_events_pb2.ServerEvent]:
        after = gap.first - 1
        while after < gap.last:
            page = await self._read(after, min(_PAGE, gap.last - after))
            for event in page:
                after = event.sequence
                yield event
            if not page:
                return

    def _append(self, item: session_events_pb2.ServerEvent | _Gap) -> None:
        self._queue.append(item)
        self._news.set()

    def _stamp(self, event: session_events_pb2.ServerEvent) -> session_events_pb2.ServerEvent:
        self._count += 1
        event.event_id = f"{self.stream_id}.{self._count}"
        event.created_at.GetCurrentTime()
        return event


async def _one(
    event: session_events_pb2.ServerEvent,
) -> AsyncIterator[session_events_pb2.ServerEvent]:
    yield event


def heartbeat() -> session_events_pb2.ServerEvent:
    """Return a sign of life."""
    event = session_events_pb2.ServerEvent(heartbeat=common_pb2.Heartbeat())
    event.heartbeat.sent_at.GetCurrentTime()
    return event
