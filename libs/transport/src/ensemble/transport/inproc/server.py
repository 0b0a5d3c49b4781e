"""The server side of ``inproc:NAME``."""

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import grpc

from ensemble.transport.inproc.channel import Options, message_limits
from ensemble.transport.inproc.metadata import Frame
from ensemble.transport.inproc.registry import registry
from ensemble.transport.inproc.requests import Requests
from ensemble.transport.inproc.rpc import Rpc, Status
from ensemble.transport.inproc.servicer_context import (
    ClientGoneError,
    InProcessServicerContext,
)

_LOG = logging.getLogger(__name__)

_DEFAULT_METADATA_LIMIT: Final = 16384  # gRPC's own, in bytes
_CANCEL_LIMIT: Final = 5.0
"""Seconds that stopping waits for handlers that were cancelled."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Found: TypeAlias = "Handler | None"
Resolve: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Found]]"


class CallDetails(grpc.HandlerCallDetails):
    """Which method is called, and with which metadata."""

    __slots__ = ("invocation_metadata", "method")

    def __init__(self, method: str, metadata: Frame) -> None:
        self.method = method
        self.invocation_metadata = metadata


class InProcessServer(grpc.aio.Server):
    """Serves calls to ``inproc:NAME`` on the loop that it was started on.

    Args:
        name: What follows ``inproc:`` in the address.
        interceptors: Run outermost first, unchanged from those of a ``grpc.aio.Server``.
        options: gRPC server options; the message and metadata limits among them count.
    """

    def __init__(
        self,
        name: str,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        options: Options = (),
    ) -> None:
        self.name = name
        self.limits = message_limits(options)
        self.metadata_limit = int(
            dict(options).get("grpc.absolute_max_metadata_size", _DEFAULT_METADATA_LIMIT)
        )
        self._registered: dict[str, Handler] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._resolve: Resolve | None = None
        for interceptor in reversed(interceptors):
            self._resolve = functools.partial(
                interceptor.intercept_service, self._resolve or self._look_up_async
            )
        self._calls: dict[asyncio.Task[None], Rpc] = {}
        self._terminated: asyncio.Event | None = None
        self._stop_lock = asyncio.Lock()

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]
    ) -> None:
        """Serve what these handlers know, after the registered methods."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        """Serve the methods of one service."""
        for method, handler in method_handlers.items():
            self._registered[f"/{service_name}/{method}"] = handler

    def add_insecure_port(self, address: str) -> int:
        """Refuse: this server has a name and no port."""
        raise grpc.aio.UsageError("An in-process server has no port.")

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Refuse: this server has a name and no port."""
        raise grpc.aio.UsageError("An in-process server has no port.")

    async def start(self) -> None:
        """Answer under the name from now on.

        Raises:
            RuntimeError: Another server of this loop has the name.
        """
        registry().add(self.name, self)
        self._terminated = asyncio.Event()

    async def stop(self, grace: float | None) -> None:
        """Take no more calls; cancel those still open after ``grace`` seconds."""
        if self._terminated is None:
            return
        registry().remove(self.name, self)
        if grace and self._calls:
            await asyncio.wait(list(self._calls), timeout=grace)
        open_calls = dict(self._calls)
        for rpc in open_calls.values():
            rpc.abandon(Status(grpc.StatusCode.UNAVAILABLE, "Cancelling all calls"))
        mine = asyncio.current_task()
        if tasks := [task for task in open_calls if task is not mine]:
            _, deaf = await asyncio.wait(tasks, timeout=_CANCEL_LIMIT)
            if deaf:
                _LOG.error("Handlers that ignore their cancellation: %d", len(deaf))
        self._terminated.set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Wait until the server has stopped; return True when ``timeout`` came first."""
        if self._terminated is None:
            return False
        try:
            async with asyncio.timeout(timeout):
                await self._terminated.wait()
        except TimeoutError:
            return True
        return False

    def accept(self, rpc: Rpc) -> None:
        """Start to serve a call, in a context of its own."""
        task = asyncio.get_running_loop().create_task(
            self._serve(rpc), context=contextvars.Context()
        )
        rpc.task = task
        self._calls[task] = rpc
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        rpc = self._calls.pop(task)
        rpc.task = None  # its context knows the call
        if not rpc.server_done and not rpc.client_gone:
            # A handler that lets a cancellation of its own making escape would leave a
            # grpc.aio client waiting for its deadline; here the call ends.
            rpc.finish(Status(grpc.StatusCode.CANCELLED, "The handler was cancelled."))
        if not task.cancelled():
            task.exception()

    def _look_up(self, details: grpc.HandlerCallDetails) -> Found:
        handler = self._registered.get(details.method)
        if handler is not None:
            return handler
        for generic in self._generic:
            handler = generic.service(details)
            if handler is not None:
                return handler
        return None

    async def _look_up_async(self, details: grpc.HandlerCallDetails) -> Found:
        return self._look_up(details)

    async def _serve(self, rpc: Rpc) -> None:
        context = InProcessServicerContext(rpc, self.metadata_limit)
        try:
            details = CallDetails(rpc.method, rpc.metadata)
            handler = (
                self._look_up(details) if self._resolve is None else await self._resolve(details)
            )
            if handler is None:
                rpc.finish(Status(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
                return
            context.configure(handler.request_deserializer, handler.response_serializer)
            await _run(handler, rpc, context)
        except grpc.aio.AbortError as error:
            if error is not context.abortion:
                _fail(context, error)
        except ClientGoneError:
            _LOG.debug("The client left %s while it was answered", rpc.method)
        except Exception as error:
            _LOG.exception(
                "Unexpected [%s] raised by servicer method [%s]", type(error).__name__, rpc.method
            )
            _fail(context, error)
        finally:
            for callback in context.take_callbacks():
                try:
                    callback(context)
                except Exception:
                    _LOG.exception("Error in callback for method [%s]", rpc.method)
            context.abortion = None  # where it was raised knows the context
        task = rpc.task
        if task is not None and rpc.server_done:
            # The ordinary end; having the loop call back would cost it a turn.
            task.remove_done_callback(self._forget)
            self._calls.pop(task, None)
            rpc.task = None  # its context knows the call


def _fail(context: InProcessServicerContext, error: Exception) -> None:
    code = context.code()
    if code is None or code is grpc.StatusCode.OK:
        code = grpc.StatusCode.UNKNOWN
    context.finish(code, f"Unexpected {type(error)}: {error}")


async def _run(handler: Handler, rpc: Rpc, context: InProcessServicerContext) -> None:
    if handler.request_streaming:
        request: Any = Requests(rpc, context)
    else:
        message = await rpc.requests.get()
        if message is None:
            return
        request = context.parse(message)
    if handler.response_streaming:
        stream = handler.stream_stream if handler.request_streaming else handler.unary_stream
        await _answer_many(stream, request, rpc, context)
    else:
        unary = handler.stream_unary if handler.request_streaming else handler.unary_unary
        await _answer_once(unary, request, rpc, context)


async def _answer_once(
    function: Any, request: Any, rpc: Rpc, context: InProcessServicerContext
) -> None:
    response = function(request, context)
    if not inspect.isawaitable(response):
        raise TypeError("A handler of a unary response must be a coroutine function.")
    response = await response
    context.check_running()
    code = context.code()
    if code is None or code is grpc.StatusCode.OK:
        message = context.serialize(response)
        if not rpc.may_answer(message):
            return
        rpc.responses.offer(message)
    context.finish(code or grpc.StatusCode.OK, context.details())


async def _answer_many(
    function: Any, request: Any, rpc: Rpc, context: InProcessServicerContext
) -> None:
    responses = function(request, context)
    if isinstance(responses, AsyncIterator):
        async with aclosing(responses):  # type: ignore[type-var]
            try:
                await _send_all(responses, rpc, context)
            except asyncio.CancelledError as cancellation:
                # The generator may stand at a yield, where the task's cancellation does
                # not reach it; it is to see the same wherever it stands.
                with contextlib.suppress(StopAsyncIteration):
                    await responses.athrow(cancellation)  # type: ignore[attr-defined]
                raise
    elif inspect.isawaitable(responses):
        await responses  # it writes its responses itself
    else:
        raise TypeError("A handler of a response stream must be an async generator.")
    context.check_running()
    context.finish(context.code() or grpc.StatusCode.OK, context.details())


async def _send_all(
    responses: AsyncIterator[Any], rpc: Rpc, context: InProcessServicerContext
) -> None:
    pipe = rpc.responses
    serialize = context.serialize
    async for response in responses:
        context.check_running()
        if rpc.client_gone:
            raise ClientGoneError("The client has left the call.")
        message = serialize(response)
        if rpc.initial is None:
            rpc.send_initial(())
        if rpc.may_answer(message) and not pipe.offer(message):
            await pipe.put(message)
