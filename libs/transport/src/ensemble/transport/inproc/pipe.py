"""One direction of a call."""

import asyncio


class Pipe:
    """Serialised messages in order: room for one, one writer and one reader at a time.

    The writer offers without waiting and waits only when there is no room. Every
    message passes at most one future a side, and neither side can starve the loop:
    a writer gets at most two messages ahead of the reader.
    """

    __slots__ = ("_loop", "_next", "_reader", "_slot", "_writer", "closed")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slot: bytes | None = None
        self._next: bytes | None = None  # what the waiting writer holds
        self._reader: asyncio.Future[bytes | None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self.closed = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be read."""
        return self._slot is None

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
        if self._slot is None:
            self._slot = message
            return True
        return False

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
        message = self._slot
        if message is not None:
            self._slot = self._next
            writer = self._writer
            if writer is not None:
                self._next = self._writer = None
                if not writer.done():
                    writer.set_result(None)
        return message

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
        writer = self._writer
        self._slot = self._next = self._writer = None
        if writer is not None and not writer.done():
            writer.set_result(None)
        self.close()
