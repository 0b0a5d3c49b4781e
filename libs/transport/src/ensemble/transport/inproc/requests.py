"""The stream of requests, as a handler iterates it."""

import asyncio
from typing import Any, Self

from ensemble.transport.inproc.rpc import Rpc
from ensemble.transport.inproc.servicer_context import InProcessServicerContext


class Requests:
    """Iterates the requests of a call.

    Like the generator that ``grpc.aio`` gives to handlers, it is over once a read of it
    was cancelled, so that a time limit around a read fails in every placement alike.
    """

    __slots__ = ("_context", "_over", "_pipe")

    def __init__(self, rpc: Rpc, context: InProcessServicerContext) -> None:
        self._pipe = rpc.requests
        self._context = context
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._over:
            raise StopAsyncIteration
        self._context.check_running()
        message = self._pipe.take()
        if message is None:
            try:
                message = await self._pipe.get()
            except asyncio.CancelledError:
                self._over = True
                raise
            if message is None:
                self._over = True
                raise StopAsyncIteration
        return self._context.parse(message)
