"""What is on its way to one client: bounded, in order, and nothing of the record lost."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ensemble.core.errors import EnsembleError
from ensemble.orchestrator.pulse import Pulse
from ensemble.orchestrator.stored import stamp
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
        self._credit = -1  # no limit until the first grant
        self._beat_due = False
        self._count = 0
        self._ended = False
        self._error: EnsembleError | None = None

    @property
    def is_open(self) -> bool:
        """More may be put into it."""
        return not self._ended

    def grant(self, events: int) -> None:
        """Let so many events more go out; the first grant ends the time without limit."""
        self._credit = max(self._credit, 0) + events
        self._news.set()

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
        self._news.set()
        self._room.set()

    async def events(self) -> AsyncGenerator[session_events_pb2.ServerEvent, None]:
        """Yield the events, each once, and heartbeats while there are none, until the end.

        Raises:
            EnsembleError: What ``end`` was given.
        """
        pulse = Pulse(self._beat)
        try:
            while True:
                if self._error is not None:
                    raise self._error
                if self._beat_due:
                    self._beat_due = False
                    yield self._heartbeat()
                elif self._queue and self._credit != 0:
                    item = self._queue.popleft()
                    self._room.set()
                    if isinstance(item, _Gap):
                        await self._fill(item)
                    else:
                        self._credit -= self._credit > 0
                        pulse.sent()
                        yield item
                elif self._ended and not self._queue:
                    return
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            pulse.close()

    async def _fill(self, gap: _Gap) -> None:
        """Put a page of the gap, and what is left of it, in its place."""
        after = gap.first - 1
        page = await self._read(after, min(_PAGE, gap.last - after))
        if page and page[-1].sequence < gap.last:
            self._queue.appendleft(_Gap(page[-1].sequence + 1, gap.last))
        self._queue.extendleft(reversed(page))

    def _beat(self) -> None:
        self._beat_due = True
        self._news.set()

    def _heartbeat(self) -> session_events_pb2.ServerEvent:
        event = session_events_pb2.ServerEvent(heartbeat=common_pb2.Heartbeat())
        event.heartbeat.sent_at.GetCurrentTime()
        return self._stamp(event)

    def _append(self, item: session_events_pb2.ServerEvent | _Gap) -> None:
        self._queue.append(item)
        self._news.set()

    def _stamp(self, event: session_events_pb2.ServerEvent) -> session_events_pb2.ServerEvent:
        self._count += 1
        event.event_id = f"{self.stream_id}.{self._count}"
        stamp(event)
        return event
