"""A bidirectional stream to a peer: heartbeats both ways, and cancelled in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import grpc

from ensemble.core.errors import EnsembleError, PeerLostError
from ensemble.core.services import HEARTBEAT_TIMEOUT
from ensemble.orchestrator.pulse import Heard, Pulse, Vigil
from ensemble.transport.status import from_rpc_error, no_answer

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


class Peer:
    """One peer, as all streams to it know it.

    Args:
        name: What it is called.
        settling: Owner of streams that were left before their end.
        asked_at_once: Patient calls that wait for their first answer at a time.
    """

    def __init__(self, name: str, settling: Settling, asked_at_once: int = 64) -> None:
        self.name = name
        self.settling = settling
        # One that restarts would else ask for all of its answers at once, and take a peer for
        # dead that is only busy.
        self.gate = asyncio.Semaphore(asked_at_once)
        self.heard = Heard()


class PeerStream(Generic[Request, Response]):
    """One call of a streaming method.

    Args:
        method: Method of a generated stub.
        make: Builds a request from a oneof branch, such as ``make(cancel=…)``.
        peer: Whom it is to.
        first: The start message.
        patience_s: How long to wait for a peer that is just restarting; 0 fails at once.
        late: Told each response that nobody takes any more, once the stream was left.
    """

    def __init__(
        self,
        method: Callable[..., Any],
        make: Callable[..., Request],
        peer: Peer,
        first: Request,
        *,
        patience_s: float = 0.0,
        late: Callable[[Response], None] | None = None,
    ) -> None:
        self._method = method
        self._make = make
        self._peer = peer
        self._patience_s = patience_s
        self._late = late
        self._gate = peer.gate if patience_s else None
        self._queue: asyncio.Queue[Request | None] = asyncio.Queue(_WAITING_LIMIT)
        self._queue.put_nowait(first)
        self._arrived: deque[Response] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._left = False
        self._done = False
        self._silent = False
        self._over = asyncio.Event()
        self._error: EnsembleError | None = None

    async def __aenter__(self) -> Self:
        if self._gate is not None:
            await self._gate.acquire()
        try:
            self._call = self._method(self._requests(), wait_for_ready=self._patience_s > 0)
        except BaseException:
            self._pass_gate()
            raise
        self._pulse = Pulse(self._beat)
        self._vigil = Vigil(self._peer.heard, self._patience_s or HEARTBEAT_TIMEOUT, self._lost)
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
        while self._late is not None and self._arrived:
            self._late(self._arrived.popleft())
        if self._over.is_set():
            return
        # What waits is no longer wanted: the cancel overtakes it.
        while not self._queue.empty():
            self._queue.get_nowait()
        if not self._done:
            self._queue.put_nowait(self._make(cancel={"reason": "no longer wanted"}))
        self._queue.put_nowait(None)
        self._peer.settling.take(self._reading)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response:
        while not self._arrived:
            if self._over.is_set():
                # Raised once, and not kept: where it is raised knows this stream.
                error, self._error = self._error, None
                try:
                    raise error or StopAsyncIteration
                finally:
                    del error
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
        call, vigil = self._call, self._vigil
        try:
            # Iterated, never `call.read()`: once a write has failed because the peer ended first,
            # grpc.aio gives a reader none of the responses that are still to be read.
            async for response in call:
                vigil.heard()
                self._pass_gate()
                branch = response.WhichOneof("event")
                if branch == "heartbeat":
                    continue
                self._done = self._done or branch == "done"
                if self._left:
                    if self._late is not None:
                        self._late(response)
                    continue
                self._arrived.append(response)
                self._news.set()
                if len(self._arrived) >= _ARRIVED_LIMIT:
                    await self._wait_for_room()
            if not self._done:
                self._error = PeerLostError(f"The {self._peer.name} ended before it was done.")
        except grpc.RpcError as exc:
            self._error = from_rpc_error(exc, self._peer.name)
        except asyncio.CancelledError:
            reading = asyncio.current_task()
            if not self._silent or reading is None or reading.uncancel():
                raise
            self._error = PeerLostError(no_answer(self._peer.name))
        finally:
            self._pass_gate()
            self._pulse.close()
            vigil.close()
            self._over.set()
            self._news.set()
            call.cancel()

    async def _wait_for_room(self) -> None:
        self._vigil.pause()
        while len(self._arrived) >= _ARRIVED_LIMIT and not self._left:
            self._room.clear()
            await self._room.wait()
        self._vigil.resume()

    def _lost(self) -> None:
        self._silent = True
        self._reading.cancel()

    def _pass_gate(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.release()

    def _beat(self) -> None:
        if self._queue.empty():
            request = self._make(heartbeat={})
            request.heartbeat.sent_at.GetCurrentTime()  # type: ignore[attr-defined]
            self._queue.put_nowait(request)
