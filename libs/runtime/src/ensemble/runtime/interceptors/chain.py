"""The one server interceptor: runs every layer around each call, in one frame.

A stack of separate interceptors would wrap every handler, and so every message of every
stream, once for each of them. Here the layers are called in order when a call begins and in
reverse when it ends, and a message passes through one frame only.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final, Self, TypeAlias

import grpc

from ensemble.runtime.interceptors.errors import code_of, end_call

# Quoted: the class takes parameters in its stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


_arrived: ContextVar[Any] = ContextVar("ensemble_arrived_metadata", default=())
"""Metadata of the call being served."""


class Call:
    """One call being served, as the layers see it.

    Attributes:
        method: Full name, such as ``/ensemble.v1.SttService/Recognize``.
        metadata: What came with the call; of a repeated key, the last value.
        context: The call's own context.
        code: How it ended; set before the layers are left.
        values: What the layers know of the call, each by a key of its own.
    """

    __slots__ = ("code", "context", "metadata", "method", "values")

    def __init__(
        self,
        method: str,
        metadata: Iterable[tuple[str, str | bytes]],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> None:
        self.method = method
        self.metadata = dict(metadata)
        self.context = context
        self.code = grpc.StatusCode.OK
        self.values: dict[object, Any] = {}

    def text(self, key: str) -> str:
        """Return the metadata value of ``key``; empty when there is none or it is not text."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""


class Layer:
    """One concern around every call."""

    def enter(self, call: Call) -> Awaitable[None] | None:
        """Begin, or return what to wait for until it is begun; raising refuses the call.

        A layer that has refused a call is not left. Most layers have nothing to wait for, and
        a coroutine for each of them would cost every call.
        """
        return None

    def leave(self, call: Call) -> None:
        """End, in the reverse order; ``call.code`` says how. Never raises."""


RequestCheck = Callable[[Any], None]
"""Raises when a request message is not acceptable."""

_HANDLERS_KEPT: Final = 256


class ServerChain(grpc.aio.ServerInterceptor):
    """Translates errors, and runs ``layers`` around each call of our own services.

    Health and reflection pass through untouched: they answer whatever happens.

    Args:
        layers: Outermost first.
        check: Called with each request message.
    """

    def __init__(self, layers: Sequence[Layer], check: RequestCheck | None = None) -> None:
        self._enters = tuple(layer.enter for layer in layers)
        # Innermost first, each with its place; most layers have nothing to end.
        self._leaves = tuple(
            (place, layer.leave)
            for place, layer in reversed(list(enumerate(layers)))
            if type(layer).leave is not Layer.leave
        )
        self._check = check
        self._wrapped: dict[int, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Return the method's handler with the layers around it."""
        # The same task serves the call. Its context would make the metadata anew.
        _arrived.set(handler_call_details.invocation_metadata)
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        # A server returns the same handler for a method each time. It is kept with its
        # wrapped self, so that its identity is not given to another meanwhile.
        known = self._wrapped.get(id(handler))
        if known is not None:
            return known[1]
        method = handler_call_details.method
        if method.startswith("/grpc."):
            return handler
        if len(self._wrapped) >= _HANDLERS_KEPT:
            self._wrapped.clear()
        wrapped = self._wrap(handler, method)
        self._wrapped[id(handler)] = (handler, wrapped)
        return wrapped

    def _wrap(self, handler: Handler, method: str) -> Handler:
        inner, make = _parts(handler)
        many, streams = handler.request_streaming, handler.response_streaming
        enters, leaves, check = self._enters, self._leaves, self._check

        async def serve(request: Any, context: Context) -> Any:
            call = Call(method, _arrived.get() or (), context)
            entered = 0
            try:
                for enter in enters:
                    waiting = enter(call)
                    if waiting is not None:
                        await waiting
                    entered += 1
                if check is None:
                    pass
                elif many:
                    request = _CheckedRequests(request, check)
                else:
                    check(request)
                responses = inner(request, context)
                if not streams or inspect.isawaitable(responses):
                    return await responses
                # Writes instead of yielding: when the client leaves, the cancellation then
                # arrives here, and the handler's generator is closed at once and in its own
                # task. A generator left at its yield would be closed later, in another task,
                # by the collector.
                await _write_all(responses, context)
            except (Exception, asyncio.CancelledError) as error:
                call.code = code_of(error, context)
                await end_call(method, context, error)
            finally:
                for place, leave in leaves:
                    if place < entered:
                        leave(call)

        wrapped: Handler = make(serve, handler.request_deserializer, handler.response_serializer)
        return wrapped


def _parts(handler: Handler) -> tuple[Any, Any]:
    """Return a handler's function, and what makes a handler of its shape."""
    if handler.request_streaming:
        if handler.response_streaming:
            return handler.stream_stream, grpc.stream_stream_rpc_method_handler
        return handler.stream_unary, grpc.stream_unary_rpc_method_handler
    if handler.response_streaming:
        return handler.unary_stream, grpc.unary_stream_rpc_method_handler
    return handler.unary_unary, grpc.unary_unary_rpc_method_handler


async def _write_all(responses: Any, context: Context) -> None:
    async with contextlib.aclosing(responses):
        try:
            async for response in responses:
                await context.write(response)
        except asyncio.CancelledError as cancellation:
            # The generator may stand at a yield; it is to see the cancellation there as it
            # would anywhere else.
            with contextlib.suppress(StopAsyncIteration):
                await responses.athrow(cancellation)
            raise


class _CheckedRequests:
    """The requests of a stream, each checked when it is read."""

    __slots__ = ("_check", "_next", "_requests")

    def __init__(self, requests: AsyncIterator[Any], check: RequestCheck) -> None:
        self._requests = requests
        # A network server's iterator that is never read would warn of it when it is collected,
        # so it is not made for a handler that refuses its call.
        self._next: Callable[[], Awaitable[Any]] | None = None
        self._check = check

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._next is None:
            self._next = aiter(self._requests).__anext__
        request = await self._next()
        self._check(request)
        return request
