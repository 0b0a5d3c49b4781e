"""One direction of a call."""

import asyncio
from typing import Final

_MESSAGES: Final = 16
"""Messages that wait unread before the writer does: a burst costs a turn of the loop for so
many. What a stream must not run ahead of is paced by its own credit, as on the network, whose
window is 64 KiB too."""

_BYTES: Final = 64 * 1024


class Pipe:
    """Serialised messages in order: room for a few, one writer and one reader at a time.

    The writer offers without waiting and waits only when there is no room. A reader that waits
    is handed the message itself. Neither side can starve the loop: what the writer may be ahead
    of the reader is bounded.
    """

    __slots__ = ("_held", "_loop", "_next", "_queue", "_reader", "_writer", "closed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: list[bytes] = []  # short: taking its head costs less than a deque
        self._held = 0  # bytes in the queue
        self._next: bytes | None = None  # what the waiting writer holds
        self._reader: asyncio.Future[bytes | None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self.closed = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be read."""
        return not self._queue

    def offer(self, message: bytes) -> bool:
        """Pass ``message`` on if there is room; a closed pipe swallows it."""
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(message)
                return True
        if self.closed:
            return True
        queue = self._queue
        if queue and (len(queue) >= _MESSAGES or self._held >= _BYTES):
            return False
        queue.append(message)
        self._held += len(message)
        return True

    async def put(self, message: bytes) -> None:
        """Wait until a refused ``message`` has found room or the pipe was broken.

        Raises:
            asyncio.CancelledError: The message was withdrawn.
        """
        if self._writer is not None:
            raise RuntimeError("a call takes one write at a time")
        self._next = message
        self._writer = writer = self._loop.create_future()
        try:
            await writer
        except asyncio.CancelledError:
            if self._writer is writer:
                self._next = self._writer = None
            raise

    def take(self) -> bytes | None:
        """Return the message that waits, if one does."""
        queue = self._queue
        if not queue:
            return None
        message = queue.pop(0)
        self._held -= len(message)
        writer = self._writer
        # Half of the room is made first, so that a writer that is faster is not woken for each.
        if writer is not None and len(queue) <= _MESSAGES // 2 and self._held <= _BYTES // 2:
            self._admit(writer)
        return message

    def _admit(self, writer: "asyncio.Future[None]") -> None:
        message, self._next, self._writer = self._next, None, None
        if message is not None:
            self._queue.append(message)
            self._held += len(message)
        if not writer.done():
            writer.set_result(None)

    async def get(self) -> bytes | None:
        """Return the next message, or None once the pipe is closed and empty."""
        message = self.take()
        if message is not None or self.closed:
            return message
        if self._reader is not None and not self._reader.done():
            raise RuntimeError("a call takes one read at a time")
        reader: asyncio.Future[bytes | None] = self._loop.create_future()
        self._reader = reader
        try:
            message = await reader
        except asyncio.CancelledError:
            if self._reader is reader:
                self._reader = None
            raise
        return message

    def close(self) -> None:
        """End the pipe behind what waits in it."""
        self.closed = True
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(None)

    def break_off(self) -> None:
        """End the pipe and drop what waits in it; a waiting writer goes on."""
        self._queue.clear()
        self._held = 0
        writer = self._writer
        self._next = self._writer = None
        if writer is not None and not writer.done():
            writer.set_result(None)
        self.close()
