"""Streams that end when they are left."""

from types import TracebackType
from typing import Generic, TypeVar

import grpc

AnyCall = TypeVar("AnyCall", bound=grpc.aio.RpcContext)


class stream(Generic[AnyCall]):  # noqa: N801 - reads as a verb: async with stream(call)
    """Cancels a call when its block is left, however it is left.

    Leaving the loop over a call's responses does not end the call: the server goes on.

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
