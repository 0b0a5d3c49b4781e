"""The four shapes of a call, on the client's side."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any, Final

import grpc

from ensemble.transport.inproc.call import InProcessCall, Serializer, serialize

_GC_CANCELLATION: Final = "Cancelled upon garbage collection!"
_FINISHED: Final = "RPC already finished."
_HALF_CLOSED: Final = 'RPC is half closed after calling "done_writing".'
_MIXED_STYLES: Final = "The iterator and read/write APIs may not be mixed on a single RPC."


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
                while rpc.status is None:
                    yield from rpc.end()
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
                if rpc.final is not None:
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
        message = self._rpc.responses.take()
        if message is not None:
            if self._rpc.final is not None:
                self._rpc.drained()
        else:
            message = await self._next()
            if message is None:
                self._raise_for_status()
                return grpc.aio.EOF
        return self._parse(message)


class StreamRequest(InProcessCall):
    """A call whose requests are written one by one."""

    _half_closed = False
    _serializer: Serializer | None = None

    def serialize_with(self, serializer: Serializer | None) -> None:
        """Set how requests are turned into bytes."""
        self._serializer = serializer

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def write(self, request: Any) -> None:
        """Send one request, waiting while the server is behind.

        Raises:
            asyncio.InvalidStateError: The call has ended or is half closed.
            grpc.aio.AioRpcError: The call ended with an error while waiting.
        """
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

    async def done_writing(self) -> None:
        """Tell the server that no more requests come; calling it again does nothing."""
        if not self.done():
            self._half_closed = True
            self._rpc.requests.close()

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
