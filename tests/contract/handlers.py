"""Handlers that the tests share: raw bytes in, raw bytes out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

Context = Any


def unary_unary(function: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(function)


def unary_stream(function: Any) -> Any:
    return grpc.unary_stream_rpc_method_handler(function)


def stream_unary(function: Any) -> Any:
    return grpc.stream_unary_rpc_method_handler(function)


def stream_stream(function: Any) -> Any:
    return grpc.stream_stream_rpc_method_handler(function)


async def echo(request: bytes, context: Context) -> bytes:
    return request


async def count(request: bytes, context: Context) -> AsyncIterator[bytes]:
    for number in range(int(request)):
        yield b"%d" % number


async def total(requests: AsyncIterator[bytes], context: Context) -> bytes:
    return b"%d" % sum([len(request) async for request in requests])


async def echo_all(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


ECHO = {
    "Echo": unary_unary(echo),
    "Count": unary_stream(count),
    "Total": stream_unary(total),
    "EchoAll": stream_stream(echo_all),
}


class Waiting:
    """Handlers that wait for ever, and tell what ended them."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self.read: list[bytes] = []

    def __enter__(self) -> None:
        self.begun.set()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.error = error
        self.ended.set()

    async def unary(self, request: bytes, context: Context) -> bytes:
        with self:
            await asyncio.Event().wait()
        return b""

    async def stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        with self:
            yield b"first"
            await asyncio.Event().wait()

    async def collect(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        with self:
            async for request in requests:
                self.read.append(request)
            await asyncio.Event().wait()
        return b""

    async def converse(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        with self:
            async for request in requests:
                self.read.append(request)
                yield request
            await asyncio.Event().wait()

    def methods(self) -> dict[str, Any]:
        return {
            "Unary": unary_unary(self.unary),
            "Stream": unary_stream(self.stream),
            "Collect": stream_unary(self.collect),
            "Converse": stream_stream(self.converse),
        }

    async def wait_for_end(self) -> BaseException | None:
        async with asyncio.timeout(5):
            await self.ended.wait()
        return self.error


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """Return the error that ends a call, of whatever shape."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")


def text(error: grpc.aio.AioRpcError) -> str:
    """Return the details, without the wrapping that a network call has at some moments.

    A call that its own side ends after the server's headers came is reported by gRPC's
    core as ``Stream removed (REASON)``, or plainly as ``REASON``, as the timing falls.
    """
    details = error.details() or ""
    prefix = "Stream removed ("
    if details.startswith(prefix) and details.endswith(")"):
        return details[len(prefix) : -1]
    return details
