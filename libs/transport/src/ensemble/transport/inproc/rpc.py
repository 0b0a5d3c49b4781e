"""One call: what the client half and the server half share."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from grpc import StatusCode

from ensemble.transport.inproc.metadata import EMPTY, Frame
from ensemble.transport.inproc.pipe import Pipe

DEADLINE_DETAILS: Final = "Deadline Exceeded"


class Status(NamedTuple):
    """How a call ended."""

    code: StatusCode
    details: str
    trailing: Frame = EMPTY


class Limits(NamedTuple):
    """Largest messages that one side sends and takes, in bytes; -1 for any."""

    send: int
    receive: int


class Rpc:
    """The frames of one call, in order: headers, messages, trailers with the status.

    Nothing but bytes, metadata, the deadline and cancellation passes through here, so
    that neither half can see an object of the other.

    Args:
        method: Full name, such as ``/ensemble.v1.SttService/Recognize``.
        metadata: What the client sent.
        timeout: Seconds until the deadline, or None.
        peer: Address for ``ServicerContext.peer()``.
        limits: Largest messages in bytes that the client sends and takes; -1 for any.
        unary_response: Whether the client takes the response with the status.
        on_end: Called once when the call has ended for the client.
    """

    __slots__ = (
        "_callback",
        "_initial_waiters",
        "_loop",
        "_on_end",
        "_timer",
        "_waiters",
        "client_gone",
        "deadline",
        "final",
        "initial",
        "limits",
        "locally_cancelled",
        "metadata",
        "method",
        "peer",
        "request_limit",
        "requests",
        "response_limit",
        "responses",
        "server_done",
        "status",
        "task",
        "unary_response",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        method: str,
        metadata: Frame,
        timeout: float | None,
        peer: str,
        limits: "Limits",
        unary_response: bool,
        on_end: Callable[["Rpc"], None],
    ) -> None:
        self._loop = loop
        self.method = method
        self.metadata = metadata
        self.peer = peer
        self.limits = limits
        self.request_limit = -1  # what the server takes, and sends
        self.response_limit = -1
        self.unary_response = unary_response
        self.requests = Pipe(loop)
        self.responses = Pipe(loop)
        self.initial: Frame | None = None
        self.status: Status | None = None
        self.locally_cancelled = False
        self.client_gone = False
        self.server_done = False
        self.task: asyncio.Task[None] | None = None
        self.final: Status | None = None  # sent by the server, behind an unread message
        self._on_end = on_end
        self._callback: Callable[[], None] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._initial_waiters: list[asyncio.Future[None]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.deadline: float | None = None
        if timeout is not None:
            self.deadline = loop.time() + timeout
            self._timer = loop.call_at(self.deadline, self.expire)

    # The client half.

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the call ends; there is one at most."""
        self._callback = callback

    def cancel(self, details: str) -> bool:
        """End the call for both halves; return False when it had ended before."""
        if self.status is not None:
            return False
        self.locally_cancelled = True
        self.abandon(Status(StatusCode.CANCELLED, details))
        return True

    def abandon(self, status: Status) -> None:
        """End the call with a status that the server did not send, and stop the server."""
        if self.status is None:
            self._end(status)
        self._stop_server()

    def expire(self) -> None:
        """End the call because its time is up."""
        self.abandon(Status(StatusCode.DEADLINE_EXCEEDED, DEADLINE_DETAILS))

    def time_left(self) -> float | None:
        """Return the seconds until the deadline, at least 0; None without one."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._loop.time())

    def may_send(self, message: bytes) -> bool:
        """Whether a request of this size may go; if not, the call has ended."""
        size = len(message)
        if 0 <= self.limits.send < size:
            self.abandon(_oversize("CLIENT: Sent", size, self.limits.send))
        elif 0 <= self.request_limit < size:
            self.abandon(_oversize("SERVER: Received", size, self.request_limit))
        else:
            return True
        return False

    async def read(self) -> bytes | None:
        """Return the next response message, or None when the call has ended."""
        message = await self.responses.get()
        self.drained()
        return message

    def drained(self) -> None:
        """Let a status that waited behind messages take effect once they are read."""
        if self.final is not None and self.responses.is_empty and self.status is None:
            self._end(self.final)

    async def ended(self) -> Status:
        """Wait for the end of the call and return its status."""
        while self.status is None:
            await self.end()
        return self.status

    def end(self) -> "asyncio.Future[None]":
        """Return a future that is done when the call ends; only while it has not ended."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        return waiter

    async def headers(self) -> Frame:
        """Wait for the initial metadata, empty when the call ended without."""
        while self.initial is None:
            waiter = self._loop.create_future()
            if self._initial_waiters is None:
                self._initial_waiters = []
            self._initial_waiters.append(waiter)
            await waiter
        return self.initial

    # The server half.

    def send_initial(self, metadata: Frame) -> None:
        """Send the headers; the first ones count."""
        if self.initial is None:
            self.initial = metadata
            self._wake_initial()

    def may_answer(self, message: bytes) -> bool:
        """Whether a response of this size may go; if not, the call is over."""
        size = len(message)
        if 0 <= self.response_limit < size:
            status = _oversize("SERVER: Sent", size, self.response_limit)
        elif 0 <= self.limits.receive < size:
            status = _oversize("CLIENT: Received", size, self.limits.receive)
        else:
            return True
        self._deliver(status)
        self._stop_server()
        return False

    def finish(self, status: Status) -> None:
        """Send the trailers and the status; nothing that follows reaches the client."""
        if self.server_done:
            return
        self.server_done = True
        self.send_initial(EMPTY)
        self._deliver(status)
        self.requests.break_off()

    def _deliver(self, status: Status) -> None:
        if self.status is not None or self.final is not None:
            return
        if self.unary_response or self.responses.is_empty:
            self._end(status)
        else:
            self.final = status
            self.responses.close()

    def _stop_server(self) -> None:
        self.client_gone = True
        self.requests.break_off()
        if self.task is not None and not self.server_done:
            self.task.cancel()

    def _end(self, status: Status) -> None:
        self.status = status
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if status.code is StatusCode.OK:
            self.responses.close()
        else:
            self.responses.break_off()
        if self.initial is None:
            self.initial = EMPTY
        self._wake_initial()
        if self._waiters is not None:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters = None
        self._on_end(self)
        if self._callback is not None:
            callback, self._callback = self._callback, None
            callback()

    def _wake_initial(self) -> None:
        if self._initial_waiters is not None:
            for waiter in self._initial_waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._initial_waiters = None


def _oversize(what: str, size: int, limit: int) -> Status:
    details = f"{what} message larger than max ({size} vs. {limit})"
    return Status(StatusCode.RESOURCE_EXHAUSTED, details)
