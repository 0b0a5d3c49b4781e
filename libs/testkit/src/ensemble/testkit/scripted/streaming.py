"""What the scripted streams have in common."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from ensemble.core.errors import WrongFirstMessageError

Request = TypeVar("Request")


class Inbox(Generic[Request]):
    """Reads a stream's requests in the background; heartbeats are dropped."""

    def __init__(self, requests: AsyncIterator[Request]) -> None:
        self._requests = requests
        self._queue: asyncio.Queue[Request | None] = asyncio.Queue()
        self.cancelled = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> Any:
        """Return the start message; reads on from then."""
        first: Any = await anext(aiter(self._requests), None)
        if first is None or first.WhichOneof("event") != "start":
            raise WrongFirstMessageError
        self._reading = asyncio.create_task(self._read())
        return first.start

    async def get(self) -> Request | None:
        """Return the next request; None after the last one or a cancel."""
        return await self._queue.get()

    def get_nowait(self) -> Request | None:
        """Return a request that is there; None when there is none."""
        return None if self._queue.empty() else self._queue.get_nowait()

    async def pause(self, seconds: float) -> bool:
        """Wait so long; True at once when the caller cancels."""
        if seconds <= 0:
            return self.cancelled.is_set()
        try:
            async with asyncio.timeout(seconds):
                await self.cancelled.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})

    async def _read(self) -> None:
        try:
            async for request in self._requests:
                event: Any = request
                match event.WhichOneof("event"):
                    case "heartbeat":
                        continue
                    case "cancel":
                        self.cancelled.set()
                        break
                    case _:
                        self._queue.put_nowait(request)
        finally:
            self._queue.put_nowait(None)


def heartbeat(make: Callable[..., Any]) -> Callable[[], Any]:
    """Return what makes the stream's heartbeat."""
    return lambda: make(heartbeat={})
