"""A call that begins as soon as it is known where to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, Final

import grpc

_LOCAL_CANCELLATION: Final = "Locally cancelled by application!"


class DeferredCall(grpc.aio.Call):
    """Stands for a call of any shape until it has begun, and passes everything on to it.

    Args:
        begin: Waits as long as need be and returns the call; it does not fail.
    """

    def __init__(self, begin: Coroutine[Any, Any, Any]) -> None:
        self._task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(begin)
        self._callbacks: list[Callable[[Any], None]] = []
        self._task.add_done_callback(self._begun)

    def _begun(self, task: asyncio.Task[Any]) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self.add_done_callback(callback)

    async def _call(self) -> Any:
        if not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self.cancel()
                raise
        return self._task.result()

    def cancelled(self) -> bool:
        """Return whether the call ended with CANCELLED."""
        if not self._task.done():
            return False
        return self._task.cancelled() or bool(self._task.result().cancelled())

    def done(self) -> bool:
        """Return whether the call has ended."""
        if not self._task.done():
            return False
        return self._task.cancelled() or bool(self._task.result().done())

    def time_remaining(self) -> float | None:
        """Return the seconds left until the deadline; None without one or before the start."""
        if not self._task.done() or self._task.cancelled():
            return None
        remaining: float | None = self._task.result().time_remaining()
        return remaining

    def cancel(self) -> bool:
        """End the call now; return False when it had ended before."""
        if not self._task.done():
            return self._task.cancel()
        return not self._task.cancelled() and bool(self._task.result().cancel())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` with this call once it has ended."""
        if not self._task.done():
            self._callbacks.append(callback)
        elif self._task.cancelled():
            callback(self)
        else:
            self._task.result().add_done_callback(lambda _: callback(self))

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Wait for the server's headers and return them."""
        metadata: grpc.aio.Metadata = await (await self._call()).initial_metadata()
        return metadata

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Wait for the end and return the server's trailers."""
        if self._task.cancelled():
            return grpc.aio.Metadata()
        metadata: grpc.aio.Metadata = await (await self._call()).trailing_metadata()
        return metadata

    async def code(self) -> grpc.StatusCode:
        """Wait for the end and return the status code."""
        if self._task.cancelled():
            return grpc.StatusCode.CANCELLED
        code: grpc.StatusCode = await (await self._call()).code()
        return code

    async def details(self) -> str:
        """Wait for the end and return the text of the status."""
        if self._task.cancelled():
            return _LOCAL_CANCELLATION
        details: str = await (await self._call()).details()
        return details

    async def wait_for_connection(self) -> None:
        """Wait until the call has reached a server."""
        await (await self._call()).wait_for_connection()

    def __await__(self) -> Generator[Any, None, Any]:
        call = yield from self._call().__await__()
        return (yield from call.__await__())

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for response in await self._call():
            yield response

    async def read(self) -> Any:
        """Return the next response, or ``grpc.aio.EOF`` at the end of the stream."""
        return await (await self._call()).read()

    async def write(self, request: Any) -> None:
        """Send one request."""
        await (await self._call()).write(request)

    async def done_writing(self) -> None:
        """Tell the server that no more requests come."""
        await (await self._call()).done_writing()
