"""The one server interceptor: runs every layer around each call, in one frame.

A stack of separate interceptors would wrap every handler, and so every message of every
stream, once for each of them. Here the layers are called in order when a call begins and in
reverse when it ends, and a message passes through one frame only.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeAlias

import grpc

from ensemble.runtime.interceptors.errors import ErrorTranslation, code_of

# Quoted: the class takes parameters in its stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class Call:
    """One call being served, as the layers see it.

    Attributes:
        method: Full name, such as ``/ensemble.v1.SttService/Recognize``.
        metadata: What came with the call; of a repeated key, the last value.
        context: The call's own context.
        unary: Whether the call has one response.
        code: How it ended; set before the layers are left.
    """

    __slots__ = ("code", "context", "metadata", "method", "unary", "values")

    def __init__(
        self,
        method: str,
        metadata: dict[str, str | bytes],
        context: grpc.aio.ServicerContext[Any, Any],
        *,
        unary: bool,
    ) -> None:
        self.method = method
        self.metadata = metadata
        self.context = context
        self.unary = unary
        self.code = grpc.StatusCode.OK
        self.values: dict[object, Any] = {}

    def text(self, key: str) -> str:
        """Return the metadata value of ``key``; empty when there is none or it is not text."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""


class Layer:
    """One concern around every call. A layer keeps what it knows of a call in ``call.values``."""

    async def enter(self, call: Call) -> None:
        """Begin; an exception refuses the call, and this layer is then not left."""

    def leave(self, call: Call) -> None:
        """End, in the reverse order; ``call.code`` says how. Never raises."""


RequestCheck = Callable[[Any], None]
"""Raises when a request message is not acceptable."""


class ServerChain(grpc.aio.ServerInterceptor):
    """Translates errors, and runs ``layers`` around each call of our own services.

    Health and reflection pass through untouched: they answer whatever happens.

    Args:
        layers: Outermost first.
        check: Called with each request message.
    """

    def __init__(self, layers: Sequence[Layer], check: RequestCheck | None = None) -> None:
        self._layers = tuple(layers)
        self._check = check
        self._errors = ErrorTranslation()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Return the method's handler with the layers around it."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith("/grpc."):
            return handler
        metadata = dict(handler_call_details.invocation_metadata or ())
        if handler.response_streaming:
            return self._streaming(handler, method, metadata)
        return self._unary(handler, method, metadata)

    def _unary(
        self,
        handler: Handler,
        method: str,
        metadata: dict[str, str | bytes],
    ) -> Handler:
        inner: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            call = Call(method, metadata, context, unary=True)

            async def body() -> Any:
                return await inner(self._checked(request, handler.request_streaming), context)

            return await self._run(call, body)

        make: Any = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        wrapped: Handler = make(serve, handler.request_deserializer, handler.response_serializer)
        return wrapped

    def _streaming(
        self,
        handler: Handler,
        method: str,
        metadata: dict[str, str | bytes],
    ) -> Handler:
        inner: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream

        # Writes instead of yielding: when the client leaves, the cancellation then arrives
        # here, and the handler's generator is closed at once and in its own task. A generator
        # left at its yield would be closed later, in another task, by the collector.
        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            call = Call(method, metadata, context, unary=False)

            async def body() -> None:
                responses = inner(self._checked(request, handler.request_streaming), context)
                if inspect.isawaitable(responses):
                    await responses
                    return
                async with contextlib.aclosing(responses):
                    try:
                        async for response in responses:
                            await context.write(response)
                    except asyncio.CancelledError as cancellation:
                        # The generator may stand at a yield; it is to see the cancellation
                        # there as it would anywhere else.
                        with contextlib.suppress(StopAsyncIteration):
                            await responses.athrow(cancellation)
                        raise

            await self._run(call, body)

        make: Any = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        wrapped: Handler = make(serve, handler.request_deserializer, handler.response_serializer)
        return wrapped

    async def _run(self, call: Call, body: Callable[[], Awaitable[Any]]) -> Any:
        entered = 0
        try:
            for layer in self._layers:
                await layer.enter(call)
                entered += 1
            return await body()
        except (Exception, asyncio.CancelledError) as error:
            call.code = code_of(error, call.context)
            await self._errors.end(call.method, call.context, error)
        finally:
            for layer in reversed(self._layers[:entered]):
                layer.leave(call)

    def _checked(self, request: Any, streaming: bool) -> Any:
        if self._check is None:
            return request
        if streaming:
            return _CheckedRequests(request, self._check)
        self._check(request)
        return request


class _CheckedRequests:
    """The requests of a stream, each checked when it is read."""

    __slots__ = ("_check", "_next")

    def __init__(self, requests: AsyncIterator[Any], check: RequestCheck) -> None:
        self._next = aiter(requests).__anext__
        self._check = check

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        request = await self._next()
        self._check(request)
        return request
