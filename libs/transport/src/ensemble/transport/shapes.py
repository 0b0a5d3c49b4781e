"""The four shapes of a method, told apart in one place for every channel of ours."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import grpc

Transform = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """Whether requests and responses are streams.

    Attributes:
        name: Of the method of a channel that makes callables of this shape.
        streams_requests: The caller may send any number of requests.
        streams_responses: Any number of responses may come.
    """

    name: str
    streams_requests: bool
    streams_responses: bool


UNARY_UNARY: Final = Shape("unary_unary", streams_requests=False, streams_responses=False)
UNARY_STREAM: Final = Shape("unary_stream", streams_requests=False, streams_responses=True)
STREAM_UNARY: Final = Shape("stream_unary", streams_requests=True, streams_responses=False)
STREAM_STREAM: Final = Shape("stream_stream", streams_requests=True, streams_responses=True)


class ShapedChannel(grpc.aio.Channel):
    """A channel that makes callables of every shape in one method, ``bind``."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    @abc.abstractmethod
    def bind(
        self,
        shape: Shape,
        method: str,
        serializer: Transform | None,
        deserializer: Transform | None,
        registered: bool | None,
    ) -> Any:
        """Return a callable for ``method``.

        Args:
            shape: Its shape.
            method: Its full name, such as ``/package.Service/Method``.
            serializer: Turns a request into bytes; None where it is bytes already.
            deserializer: Turns bytes into a response; None to hand them out as they are.
            registered: What generated stubs say to the network channel.
        """

    def unary_unary(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Return a callable for a method of this shape."""
        return self.bind(
            UNARY_UNARY, method, request_serializer, response_deserializer, _registered_method
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Return a callable for a method of this shape."""
        return self.bind(
            UNARY_STREAM, method, request_serializer, response_deserializer, _registered_method
        )

    def stream_unary(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Return a callable for a method of this shape."""
        return self.bind(
            STREAM_UNARY, method, request_serializer, response_deserializer, _registered_method
        )

    def stream_stream(
        self,
        method: str,
        request_serializer: Transform | None = None,
        response_deserializer: Transform | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Return a callable for a method of this shape."""
        return self.bind(
            STREAM_STREAM, method, request_serializer, response_deserializer, _registered_method
        )
