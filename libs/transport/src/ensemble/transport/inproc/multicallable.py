"""The four kinds of method, ready to be called."""

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

import grpc

from ensemble.transport.feeding import feed
from ensemble.transport.inproc.call import Deserializer, Serializer, serialize
from ensemble.transport.inproc.call_shapes import (
    InProcessStreamStreamCall,
    InProcessStreamUnaryCall,
    InProcessUnaryStreamCall,
    InProcessUnaryUnaryCall,
)
from ensemble.transport.inproc.metadata import MetadataLike
from ensemble.transport.inproc.rpc import Rpc

OpenCall = Callable[
    [str, bytes | None, bool, float | None, MetadataLike | None, bool | None],
    tuple[Rpc, Exception | None],
]


class _Method:
    def __init__(
        self,
        open_call: OpenCall,
        method: str | bytes,
        serializer: Serializer | None,
        deserializer: Deserializer | None,
    ) -> None:
        self._open_call = open_call
        self._method = method.decode() if isinstance(method, bytes) else method
        self._serializer = serializer
        self._deserializer = deserializer


class UnaryUnary(_Method, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
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
    ) -> InProcessUnaryUnaryCall:
        """Begin a call."""
        message = serialize(request, self._serializer)
        rpc, failure = self._open_call(
            self._method, message, True, timeout, metadata, wait_for_ready
        )
        return InProcessUnaryUnaryCall(rpc, self._deserializer, failure)


class UnaryStream(_Method, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
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
    ) -> InProcessUnaryStreamCall:
        """Begin a call."""
        message = serialize(request, self._serializer)
        rpc, failure = self._open_call(
            self._method, message, False, timeout, metadata, wait_for_ready
        )
        return InProcessUnaryStreamCall(rpc, self._deserializer, failure)


class StreamUnary(_Method, grpc.aio.StreamUnaryMultiCallable[Any, Any]):
    """A stream of requests, one response."""

    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> InProcessStreamUnaryCall:
        """Begin a call."""
        rpc, failure = self._open_call(self._method, None, True, timeout, metadata, wait_for_ready)
        call = InProcessStreamUnaryCall(rpc, self._deserializer, failure)
        call.serialize_with(self._serializer)
        feed(call, request_iterator)
        return call


class StreamStream(_Method, grpc.aio.StreamStreamMultiCallable[Any, Any]):
    """Streams in both directions."""

    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> InProcessStreamStreamCall:
        """Begin a call."""
        rpc, failure = self._open_call(self._method, None, False, timeout, metadata, wait_for_ready)
        call = InProcessStreamStreamCall(rpc, self._deserializer, failure)
        call.serialize_with(self._serializer)
        feed(call, request_iterator)
        return call
