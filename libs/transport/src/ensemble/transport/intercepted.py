"""A channel whose calls pass interceptors, whatever carries them."""

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from ensemble.transport.feeding import feed
from ensemble.transport.outgoing import Begun, ClientInterceptor, Outgoing

MetadataLike = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]
Transform = Callable[[Any], Any]


class InterceptedChannel(grpc.aio.Channel):
    """Passes each call by ``interceptors``, outermost first, and on to ``channel``."""

    def __init__(
        self, channel: grpc.aio.Channel, interceptors: Sequence[ClientInterceptor]
    ) -> None:
        self._channel = channel
        self._interceptors = tuple(interceptors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls; cancel those still open after ``grace`` seconds."""
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how the channel is connected."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another than ``last_observed_state``."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel is connected."""
        await self._channel.channel_ready()

    def unary_unary(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> "UnaryRequest":
        """Return a callable for a method of this shape."""
        inner = self._channel.unary_unary(
            method, request_serializer, response_deserializer, **_registered(_registered_method)
        )
        return UnaryRequest(inner, method, self._interceptors)

    def unary_stream(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> "UnaryStreamRequest":
        """Return a callable for a method of this shape."""
        inner = self._channel.unary_stream(
            method, request_serializer, response_deserializer, **_registered(_registered_method)
        )
        return UnaryStreamRequest(inner, method, self._interceptors)

    def stream_unary(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> "StreamUnaryRequest":
        """Return a callable for a method of this shape."""
        inner = self._channel.stream_unary(
            method, request_serializer, response_deserializer, **_registered(_registered_method)
        )
        return StreamUnaryRequest(inner, method, self._interceptors)

    def stream_stream(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> "StreamStreamRequest":
        """Return a callable for a method of this shape."""
        inner = self._channel.stream_stream(
            method, request_serializer, response_deserializer, **_registered(_registered_method)
        )
        return StreamStreamRequest(inner, method, self._interceptors)


def _registered(registered_method: bool | None) -> dict[str, Any]:
    # Generated stubs pass it, and the network channel takes it; its published types do not.
    return {"_registered_method": registered_method}


class _Method:
    def __init__(
        self, inner: Any, method: str, interceptors: tuple[ClientInterceptor, ...]
    ) -> None:
        self._inner = inner
        self._method = method
        self._interceptors = interceptors

    def _prepare(
        self, timeout: float | None, metadata: MetadataLike | None
    ) -> tuple[Outgoing, list[Begun]]:
        outgoing = Outgoing(self._method, timeout, list(metadata) if metadata else [])
        begun = []
        for interceptor in self._interceptors:
            hook = interceptor.intercept(outgoing)
            if hook is not None:
                begun.append(hook)
        return outgoing, begun

    def _begin(
        self,
        subject: tuple[Any, ...],
        timeout: float | None,
        metadata: MetadataLike | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> Any:
        outgoing, begun = self._prepare(timeout, metadata)
        try:
            call = self._inner(
                *subject,
                timeout=outgoing.timeout,
                metadata=outgoing.metadata,
                credentials=credentials,
                wait_for_ready=wait_for_ready,
                compression=compression,
            )
        except BaseException:
            for hook in begun:
                hook(None)
            raise
        for hook in begun:
            hook(call)
        return call


class UnaryRequest(_Method, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    """One request, one response."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.UnaryUnaryCall[Any, Any]:
        """Begin a call."""
        call: grpc.aio.UnaryUnaryCall[Any, Any] = self._begin(
            (request,), timeout, metadata, credentials, wait_for_ready, compression
        )
        return call


class UnaryStreamRequest(_Method, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
    """One request, a stream of responses."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.UnaryStreamCall[Any, Any]:
        """Begin a call."""
        call: grpc.aio.UnaryStreamCall[Any, Any] = self._begin(
            (request,), timeout, metadata, credentials, wait_for_ready, compression
        )
        return call


class StreamUnaryRequest(_Method, grpc.aio.StreamUnaryMultiCallable[Any, Any]):
    """A stream of requests, one response."""

    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.StreamUnaryCall[Any, Any]:
        """Begin a call."""
        call: grpc.aio.StreamUnaryCall[Any, Any] = self._begin(
            (), timeout, metadata, credentials, wait_for_ready, compression
        )
        feed(call, request_iterator)
        return call


class StreamStreamRequest(_Method, grpc.aio.StreamStreamMultiCallable[Any, Any]):
    """Streams in both directions."""

    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.StreamStreamCall[Any, Any]:
        """Begin a call."""
        call: grpc.aio.StreamStreamCall[Any, Any] = self._begin(
            (), timeout, metadata, credentials, wait_for_ready, compression
        )
        feed(call, request_iterator)
        return call
