"""A bidirectional stream to a peer: heartbeats both ways, and cancelled in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import grpc

from ensemble.core.errors import EnsembleError, PeerLostError
from ensemble.orchestrator.pulse import Pulse
from ensemble.transport.heartbeat import watch
from ensemble.transport.status import from_rpc_error

Request = TypeVar("Request")
Response = TypeVar("Response")

_WAITING_LIMIT: Final = 32
"""Requests that wait to be sent before the sender has to wait."""

_ARRIVED_LIMIT: Final = 16
"""Responses kept for a consumer that is slow; more stay with the peer."""

_SETTLE_S: Final = 1.0
"""Seconds that a stream which was cancelled in band has to end by itself."""


class Settling:
    """Owns the streams that were left and are still settling."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, task: asyncio.Task[None]) -> None:
        """Keep ``task`` until it is done, and end it if it takes too long."""
        self._tasks.add(task)
        limit = asyncio.get_running_loop().call_later(_SETTLE_S, task.cancel)
        task.add_done_callback(lambda _: limit.cancel())
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Abort what is left."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class PeerStream(Generic[Request, Response]):
    """One call of a streaming method.

    Args:
        method: Method of a generated stub.
        make: Builds a request from a oneof branch, such as ``make(cancel=…)``.
        settling: Owner of the call once it was left before its end.
        first: The start message.
        patience_s: How long to wait for a peer that is just restarting; 0 fails at once.
    """

    def __init__(
        self,
        method: Callable[..., Any],
        make: Callable[..., Request],
        settling: Settling,
        first: Request,
        *,
        patience_s: float = 0.0,
    ) -> None:
        self._method = method
        self._make = make
        self._settling = settling
        self._patience_s = patience_s
        self._queue: asyncio.Queue[Request | None] = asyncio.Queue(_WAITING_LIMIT)
        self._queue.put_nowait(first)
        self._arrived: deque[Response] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._left = False
        self._done = False
        self._over = asyncio.Event()
        self._error: EnsembleError | None = None

    async def __aenter__(self) -> Self:
        self._pulse = Pulse(self._beat)
        self._call = self._method(self._requests(), wait_for_ready=self._patience_s > 0)
        # A task of its own reads: a reader that is cancelled would abort the call.
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left = True
        self._room.set()
        if self._over.is_set():
            return
        # What waits is no longer wanted: the cancel overtakes it.
        while not self._queue.empty():
            self._queue.get_nowait()
        if not self._done:
            self._queue.put_nowait(self._make(cancel={"reason": "no longer wanted"}))
        self._queue.put_nowait(None)
        self._settling.take(self._reading)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response:
        while not self._arrived:
            if self._over.is_set():
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._arrived.popleft()

    async def send(self, request: Request) -> None:
        """Send ``request``; waits while too many wait, and drops it once the stream is over."""
        if self._over.is_set():
            return
        try:
            self._queue.put_nowait(request)
        except asyncio.QueueFull:
            await self._put_or_end(request)

    async def half_close(self) -> None:
        """Say that nothing more will be sent."""
        await self._put_or_end(None)

    async def _put_or_end(self, request: Request | None) -> None:
        putting = asyncio.ensure_future(self._queue.put(request))
        ending = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({putting, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
            ending.cancel()

    async def _requests(self) -> AsyncIterator[Request]:
        while (request := await self._queue.get()) is not None:
            self._pulse.sent()
            yield request
        self._pulse.close()

    async def _read(self) -> None:
        call, patience = self._call, self._patience_s
        try:
            # Iterated, never `call.read()`: once a write has failed because the peer ended first,
            # grpc.aio gives a reader none of the responses that are still to be read.
            living = watch(call)
            async for response in _patient(call, patience) if patience else living:
                branch = response.WhichOneof("event")
                if branch == "heartbeat":
                    continue
                self._done = self._done or branch == "done"
                if self._left:
                    continue
                self._arrived.append(response)
                self._news.set()
                while len(self._arrived) >= _ARRIVED_LIMIT and not self._left:
                    self._room.clear()
                    await self._room.wait()
            if not self._done:
                self._error = PeerLostError("The stream ended before its work was done.")
        except grpc.RpcError as exc:
            self._error = from_rpc_error(exc)
        except EnsembleError as exc:
            self._error = exc
        finally:
            self._pulse.close()
            self._over.set()
            self._news.set()
            call.cancel()

    def _beat(self) -> None:
        if self._queue.empty():
            request = self._make(heartbeat={})
            request.heartbeat.sent_at.GetCurrentTime()  # type: ignore[attr-defined]
            self._queue.put_nowait(request)


async def _patient(call: Any, patience_s: float) -> AsyncIterator[Any]:
    """Iterate over ``call``, whose first answer may take longer than those after it."""
    responses = aiter(call)
    try:
        async with asyncio.timeout(patience_s):
            first = await anext(responses, None)
    except TimeoutError:
        call.cancel()
        raise PeerLostError("The peer did not come back in time.") from None
    if first is None:
        return
    yield first
    async for response in watch(responses):
        yield response
