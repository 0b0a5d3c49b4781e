"""Deadlines: both sides hear of them, and nested calls keep within them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from ensemble.core.errors import DeadlineExceededError, ServiceUnavailableError
from ensemble.transport import context as call_context
from ensemble.transport.interceptors import DEADLINE_MARGIN
from ensemble.transport.status import from_rpc_error
from tests.contract.conftest import Serve
from tests.contract.handlers import (
    ECHO,
    Waiting,
    failure,
    stream_stream,
    text,
    unary_stream,
    unary_unary,
)

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("name", ["Unary", "Stream", "Collect", "Converse"])
async def test_a_deadline_ends_the_call_and_cancels_the_handler(serve: Serve, name: str) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    call = {
        "Unary": lambda: peer.unary_unary("Unary")(b"", timeout=0.5),
        "Stream": lambda: peer.unary_stream("Stream")(b"", timeout=0.5),
        "Collect": lambda: peer.stream_unary("Collect")(iter([b"a"]), timeout=0.5),
        "Converse": lambda: peer.stream_stream("Converse")(iter([b"a"]), timeout=0.5),
    }[name]()
    error = await failure(call)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert text(error) == "Deadline Exceeded"
    assert isinstance(await waiting.wait_for_end(), asyncio.CancelledError)
    assert call.time_remaining() == 0
    assert not call.cancelled()


async def test_a_deadline_in_the_past_fails_at_once(serve: Serve) -> None:
    peer = await serve(ECHO)
    for call in (
        peer.unary_unary("Echo")(b"", timeout=-1),
        peer.unary_stream("Count")(b"1", timeout=-1),
        peer.stream_unary("Total")(iter([b"1"]), timeout=-1),
        peer.stream_stream("EchoAll")(iter([b"1"]), timeout=-1),
    ):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.details() == "Deadline Exceeded"


async def test_both_sides_know_the_time_that_remains(serve: Serve) -> None:
    remaining: list[float | None] = []

    async def measure(request: bytes, context: Any) -> bytes:
        remaining.append(context.time_remaining())
        return b""

    peer = await serve({"Measure": unary_unary(measure)})
    call = peer.unary_unary("Measure")(b"", timeout=30)
    assert 25 < call.time_remaining() <= 30
    await call
    without = peer.unary_unary("Measure")(b"")
    assert without.time_remaining() is None
    await without
    first, second = remaining
    assert first is not None
    assert 25 < first <= 30.1
    assert second is None


async def test_a_deadline_ends_a_consumer_that_waits(serve: Serve) -> None:
    async def pause(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    peer = await serve({"Pause": unary_stream(pause)})
    call = peer.unary_stream("Pause")(b"", timeout=1)
    assert await call.read() == b"one"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert text(raised.value) == "Deadline Exceeded"


async def test_a_deadline_ends_a_writer_that_waits(serve: Serve) -> None:
    async def never_read(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    peer = await serve({"NeverRead": stream_stream(never_read)})
    call = peer.stream_stream("NeverRead")(timeout=0.3)
    block = b"x" * 100_000
    with pytest.raises((grpc.aio.AioRpcError, asyncio.InvalidStateError)):
        while True:
            await call.write(block)
    # grpc.aio reports a write that was under way as INTERNAL; the catalogue mends that.
    error = from_rpc_error(grpc.aio.AioRpcError(await call.code(), details=await call.details()))
    assert isinstance(error, DeadlineExceededError | ServiceUnavailableError)
    assert error.retryable


async def test_deadlines_do_not_pass_on_by_themselves(serve: Serve) -> None:
    remaining: list[float | None] = []

    async def inner(request: bytes, context: Any) -> bytes:
        remaining.append(context.time_remaining())
        return b""

    peer = await serve({"Inner": unary_unary(inner)})

    async def outer(request: bytes, context: Any) -> bytes:
        return bytes(await peer.unary_unary("Inner")(b""))

    caller = await serve({"Outer": unary_unary(outer)})
    await caller.unary_unary("Outer")(b"", timeout=20)
    assert remaining == [None]


async def test_nested_calls_get_what_remains_less_the_margin(serve: Serve) -> None:
    remaining: list[float] = []

    async def inner(request: bytes, context: Any) -> bytes:
        remaining.append(context.time_remaining())
        return b""

    peer = await serve({"Inner": unary_unary(inner)}, client=None)
    now = asyncio.get_running_loop().time()
    call_context.deadline.set(now + 20)
    await peer.unary_unary("Inner")(b"")
    await peer.unary_unary("Inner")(b"", timeout=50)
    await peer.unary_unary("Inner")(b"", timeout=5)
    assert all(10 < left <= 20 - DEADLINE_MARGIN + 0.1 for left in remaining[:2])
    assert remaining[2] <= 5.1
    call_context.deadline.set(now - 1)
    error = await failure(peer.unary_unary("Inner")(b""))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
