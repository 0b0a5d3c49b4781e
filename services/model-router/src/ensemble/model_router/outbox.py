"""What waits to be sent on one chat."""

import asyncio
from collections import deque

from ensemble.model_router.domain import RouterEvent, TextDelta, ToolCallDelta

_ROOM = 65_536


class Outbox:
    """A bounded queue in which deltas that follow each other become one."""

    def __init__(self) -> None:
        self._events: deque[RouterEvent] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._error: BaseException | None = None

    async def put(self, event: RouterEvent) -> None:
        """Add ``event``; waits while the receiver is far behind."""
        await self._room.wait()
        last = self._events[-1] if self._events else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            self._events[-1] = TextDelta(last.text + event.text, last.tokens + event.tokens)
        elif (
            isinstance(event, ToolCallDelta)
            and isinstance(last, ToolCallDelta)
            and last.call_id == event.call_id
        ):
            joined = last.arguments_json + event.arguments_json
            self._events[-1] = ToolCallDelta(event.call_id, event.name, joined)
        else:
            self._events.append(event)
        self._size += _size(event)
        if self._size > _ROOM:
            self._room.clear()
        self._changed.set()

    def fail(self, error: BaseException) -> None:
        """Let the receiver meet ``error`` once it has taken all events."""
        self._error = self._error or error
        self._changed.set()

    async def next_needs_credit(self) -> bool:
        """Wait for the next event; True when it counts against the receiver's credit.

        Raises:
            BaseException: What ``fail`` was given.
        """
        while not self._events:
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()
        return isinstance(self._events[0], TextDelta | ToolCallDelta)

    def take(self) -> RouterEvent:
        """Return the next event."""
        event = self._events.popleft()
        self._size -= _size(event)
        if self._size <= _ROOM:
            self._room.set()
        return event


def _size(event: RouterEvent) -> int:
    if isinstance(event, TextDelta):
        return len(event.text)
    return len(event.arguments_json) if isinstance(event, ToolCallDelta) else 0
