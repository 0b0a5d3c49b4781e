"""The client half of a call, with the interface of ``grpc.aio``'s own call objects."""

import asyncio
import logging
import weakref
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
)
from typing import Any, Final

import grpc

from ensemble.transport.inproc.metadata import received
from ensemble.transport.inproc.rpc import Rpc, Status

_LOG = logging.getLogger(__name__)

_LOCAL_CANCELLATION: Final = "Locally cancelled by application!"
_GC_CANCELLATION: Final = "Cancelled upon garbage collection!"
_FINISHED: Final = "RPC already finished."
_HALF_CLOSED: Final = 'RPC is half closed after calling "done_writing".'
_MIXED_STYLES: Final = "The iterator and read/write APIs may not be mixed on a single RPC."

RequestIterator = AsyncIterable[Any] | Iterable[Any]
Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]


def serialize(message: Any, serializer: Serializer | None) -> bytes:
    """Return the bytes of a request; a failing serializer sends none, as in ``grpc.aio``."""
    if serializer is None:
        return b"" if message is None else bytes(message)
    try:
        return serializer(message)
    except Exception:
        _LOG.exception("Exception serializing message!")
        return b""


class InProcessCall(grpc.aio.Call):
    """What the four kinds of call share.

    Args:
        rpc: The call itself.
        deserializer: Makes a response of its bytes; None leaves the bytes.
        failure: Raised when the call is used, for a call that could not even begin.
    """

    def __init__(
        self, rpc: Rpc, deserializer: Deserializer | None, failure: Exception | None = None
    ) -> None:
        self._rpc = rpc
        self._deserializer = deserializer
        self._failure = failure
        self._callbacks: list[Callable[[Any], None]] = []

    def cancelled(self) -> bool:
        """Return whether the call ended with CANCELLED."""
        status = self._rpc.status
        return status is not None and status.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        """Return whether the call has ended."""
        return self._rpc.status is not None

    def time_remaining(self) -> float | None:
        """Return the seconds left until the deadline, or None without one."""
        return self._rpc.time_left()

    def cancel(self) -> bool:
        """End the call now; return False when it had ended before."""
        return self._rpc.cancel(_LOCAL_CANCELLATION)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` with this call once it has ended."""
        if self.done():
            callback(self)
            return
        if not self._callbacks:
            self._watch_end()
        self._callbacks.append(callback)

    def _watch_end(self) -> None:
        # Weakly, so that a stream that nobody holds any more is collected and cancelled.
        self._rpc.when_ended(_WeakCall(self))

    def _run_callbacks(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                _LOG.exception("Exception in a done callback of a call")

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Wait for the server's headers and return them."""
        return received(await self._rpc.headers())

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Wait for the end and return the server's trailers."""
        return received((await self._rpc.ended()).trailing)

    async def code(self) -> grpc.StatusCode:
        """Wait for the end and return the status code."""
        return (await self._rpc.ended()).code

    async def details(self) -> str:
        """Wait for the end and return the text of the status."""
        return (await self._rpc.ended()).details

    async def debug_error_string(self) -> str:
        """Wait for the end and return the text for logs; empty when all went well."""
        return _debug_text(await self._rpc.ended())

    def _raise_for_status(self) -> None:
        if self._failure is not None:
            raise self._failure
        rpc = self._rpc
        status = rpc.status
        if status is None or status.code is grpc.StatusCode.OK:
            return
        if rpc.locally_cancelled:
            raise asyncio.CancelledError
        raise grpc.aio.AioRpcError(
            status.code,
            received(rpc.initial or ()),
            received(status.trailing),
            details=status.details,
            debug_error_string=_debug_text(status),
        )

    def _parse(self, message: bytes) -> Any:
        if self._deserializer is None:
            return message
        try:
            return self._deserializer(message)
        except Exception:
            _LOG.exception("Exception deserializing message!")
            return None

    def __repr__(self) -> str:
        status = self._rpc.status
        if status is None:
            return f"<{type(self).__name__} object>"
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {status.code}\n"
            f'\tdetails = "{status.details}"\n>'
        )


class _WeakCall:
    """Runs a call's done callbacks without keeping the call alive."""

    __slots__ = ("_call",)

    def __init__(self, call: InProcessCall) -> None:
        self._call = weakref.ref(call)

    def __call__(self) -> None:
        call = self._call()
        if call is not None:
            call._run_callbacks()


def _debug_text(status: Status) -> str:
    if status.code is grpc.StatusCode.OK:
        return ""
    return f"{status.code.name}:{status.details}"


_UNREAD: Final = object()


class UnaryResponse(InProcessCall):
    """A call that is awaited for its one response."""

    _response: Any = _UNREAD

    def _watch_end(self) -> None:
        self._rpc.when_ended(self._run_callbacks)

    def __await__(self) -> Generator[Any, None, Any]:
        rpc = self._rpc
        if rpc.status is None:
            try:
                yield from rpc.ended().__await__()
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self._response is _UNREAD:
            self._raise_for_status()
            message = rpc.responses.take()
            self._response = self._parse(message if message is not None else b"")
        return self._response


class StreamResponse(InProcessCall):
    """A call whose responses are read one by one, by iteration or by ``read``."""

    _iterator: AsyncIterator[Any] | None = None
    _reads = False

    def __del__(self) -> None:
        if self._rpc.status is None:
            self._rpc.cancel(_GC_CANCELLATION)

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._reads:
            raise grpc.aio.UsageError(_MIXED_STYLES)
        if self._iterator is None:
            self._iterator = self._iterate()
        return self._iterator

    async def _iterate(self) -> AsyncIterator[Any]:
        rpc = self._rpc
        take = rpc.responses.take
        while True:
            message = take()
            if message is not None:
                rpc.drained()
            else:
                message = await self._next()
                if message is None:
                    break
            yield self._parse(message)
        self._raise_for_status()

    async def _next(self) -> bytes | None:
        try:
            return await self._rpc.read()
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def read(self) -> Any:
        """Return the next response, or ``grpc.aio.EOF`` at the end of the stream.

        Raises:
            grpc.aio.AioRpcError: The call ended with an error.
        """
        if self.done() and self._rpc.responses.is_empty:
            self._raise_for_status()
            return grpc.aio.EOF
        if self._iterator is not None:
            raise grpc.aio.UsageError(_MIXED_STYLES)
        self._reads = True
        message = await self._next()
        if message is None:
            self._raise_for_status()
            return grpc.aio.EOF
        return self._parse(message)


class StreamRequest(InProcessCall):
    """A call whose requests are written one by one, or drawn from an iterator."""

    _poller: asyncio.Task[None] | None = None
    _half_closed = False

    def open_requests(
        self, requests: RequestIterator | None, serializer: Serializer | None
    ) -> None:
        """Set how requests are serialised and, if they come from an iterator, start it."""
        self._serializer = serializer
        if requests is not None:
            self._poller = asyncio.get_running_loop().create_task(self._poll(requests))

    def cancel(self) -> bool:
        """End the call now; return False when it had ended before."""
        if self._poller is not None:
            self._poller.cancel()
        return super().cancel()

    async def _poll(self, requests: RequestIterator) -> None:
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    await self._write(request)
            else:
                for request in requests:
                    await self._write(request)
            self._close_requests()
        except asyncio.InvalidStateError:
            pass  # the call ended first; what it ended with reaches the reader
        except grpc.aio.AioRpcError as error:
            _LOG.debug("The call ended while its requests were sent: %s", error.code())
        except asyncio.CancelledError:
            self.cancel()
            raise
        except Exception:
            _LOG.debug("The iterator of requests failed", exc_info=True)
            self.cancel()

    async def _write(self, request: Any) -> None:
        rpc = self._rpc
        if rpc.status is not None:
            self._raise_failure()
            raise asyncio.InvalidStateError(_FINISHED)
        if self._half_closed:
            raise asyncio.InvalidStateError(_HALF_CLOSED)
        message = serialize(request, self._serializer)
        if not rpc.may_send(message):
            self._raise_for_status()
        if rpc.requests.offer(message):
            return
        try:
            await rpc.requests.put(message)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if rpc.status is not None:
            self._raise_for_status()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _close_requests(self) -> None:
        self._half_closed = True
        self._rpc.requests.close()

    async def write(self, request: Any) -> None:
        """Send one request, waiting while the server is behind.

        Raises:
            asyncio.InvalidStateError: The call has ended or is half closed.
            grpc.aio.AioRpcError: The call ended with an error while waiting.
        """
        self._forbid_iterator()
        await self._write(request)

    async def done_writing(self) -> None:
        """Tell the server that no more requests come; calling it again does nothing."""
        self._forbid_iterator()
        if not self.done():
            self._close_requests()

    def _forbid_iterator(self) -> None:
        if self._poller is not None:
            raise grpc.aio.UsageError(_MIXED_STYLES)

    async def wait_for_connection(self) -> None:
        """Wait until the call has reached a server.

        Raises:
            grpc.aio.AioRpcError: It could not.
        """
        self._raise_for_status()


class InProcessUnaryUnaryCall(UnaryResponse, grpc.aio.UnaryUnaryCall[Any, Any]):
    """One request, one response."""

    async def wait_for_connection(self) -> None:
        """Wait for the end of the call, as in ``grpc.aio``.

        Raises:
            grpc.aio.AioRpcError: The call ended with an error.
        """
        await self._rpc.ended()
        self._raise_for_status()


class InProcessUnaryStreamCall(StreamResponse, grpc.aio.UnaryStreamCall[Any, Any]):
    """One request, a stream of responses."""

    async def wait_for_connection(self) -> None:
        """Wait for the server's headers.

        Raises:
            grpc.aio.AioRpcError: The call ended with an error before them.
        """
        await self._rpc.headers()
        self._raise_for_status()


class InProcessStreamUnaryCall(
    StreamRequest,
    UnaryResponse,
    grpc.aio.StreamUnaryCall[Any, Any],
):
    """A stream of requests, one response."""


class InProcessStreamStreamCall(
    StreamRequest,
    StreamResponse,
    grpc.aio.StreamStreamCall[Any, Any],
):
    """Streams in both directions."""
