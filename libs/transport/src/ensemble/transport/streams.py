"""Streams that end when they are left, and ends that can be told apart."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from types import TracebackType
from typing import Final, Generic, TypeVar

import grpc

AnyCall = TypeVar("AnyCall", bound=grpc.aio.RpcContext)
Request = TypeVar("Request")

HALF_CLOSE_GRACE: Final = 0.03
"""Seconds after the last request in which a cancellation may still follow; measured on
loopback, it follows within 10 ms."""


async def until_half_close(
    requests: AsyncIterable[Request], grace: float = HALF_CLOSE_GRACE
) -> AsyncIterator[Request]:
    """Pass ``requests`` on; the end of this iteration is a half-close and nothing else.

    To a handler that waits for a request, ``grpc.aio`` shows a client that cancelled or
    vanished as the end of its requests first and cancels the handler only then. Where a
    half-close means "finish" and a reset means "the client will come back", iterate this
    instead of the requests: the cancellation then arrives inside the iteration.

    Raises:
        asyncio.CancelledError: The client has left.
    """
    async for request in requests:
        yield request
    await asyncio.sleep(grace)


class stream(Generic[AnyCall]):  # noqa: N801 - reads as a verb: async with stream(call)
    """Cancels a call when its block is left, however it is left.

    Leaving the loop over a call's responses does not end the call: the server goes on.
    Iterate as here where requests may still be sent when the server ends: after a write has
    failed, ``read()`` of ``grpc.aio`` gives none of the responses that were not read yet.

    Example::

        async with stream(stub.Chat(requests())) as responses:
            async for response in responses:
                ...
    """

    __slots__ = ("_call",)

    def __init__(self, call: AnyCall) -> None:
        self._call = call

    async def __aenter__(self) -> AnyCall:
        return self._call

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._call.cancel()
