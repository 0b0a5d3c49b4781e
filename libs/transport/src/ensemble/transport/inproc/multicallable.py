"""Methods of any shape, ready to be called."""

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Final

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
from ensemble.transport.shapes import (
    STREAM_STREAM,
    STREAM_UNARY,
    UNARY_STREAM,
    UNARY_UNARY,
    Shape,
)

OpenCall = Callable[
    [str, bytes | None, bool, float | None, MetadataLike | None, bool | None],
    tuple[Rpc, Exception | None],
]


_CALLS: Final[dict[Shape, Callable[..., Any]]] = {
    UNARY_UNARY: InProcessUnaryUnaryCall,
    UNARY_STREAM: InProcessUnaryStreamCall,
    STREAM_UNARY: InProcessStreamUnaryCall,
    STREAM_STREAM: InProcessStreamStreamCall,
}


class _Method:
    def __init__(
        self,
        open_call: OpenCall,
        shape: Shape,
        method: str | bytes,
        serializer: Serializer | None,
        deserializer: Deserializer | None,
    ) -> None:
        self._open_call = open_call
        self._method = method.decode() if isinstance(method, bytes) else method
        self._serializer = serializer
        self._deserializer = deserializer
        self._unary_response = not shape.streams_responses
        self._call = _CALLS[shape]


class UnaryRequestMethod(_Method):
    """A method that takes one request."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        """Begin a call."""
        message = serialize(request, self._serializer)
        rpc, failure = self._open_call(
            self._method, message, self._unary_response, timeout, metadata, wait_for_ready
        )
        return self._call(rpc, self._deserializer, failure)


class StreamRequestMethod(_Method):
    """A method that takes a stream of requests."""

    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        """Begin a call."""
        rpc, failure = self._open_call(
            self._method, None, self._unary_response, timeout, metadata, wait_for_ready
        )
        call = self._call(rpc, self._deserializer, failure)
        call.serialize_with(self._serializer)
        feed(call, request_iterator)
        return call
