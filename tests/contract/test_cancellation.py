"""Cancellation: who hears of it, and what it looks like."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from ensemble.transport import stream, until_half_close
from tests.contract.conftest import Peer, Serve
from tests.contract.handlers import ECHO, Waiting, stream_stream, unary_stream

pytestmark = pytest.mark.contract

LOCALLY = "Locally cancelled by application!"


async def open_call(peer: Peer, name: str) -> Any:
    call = {
        "Unary": lambda: peer.unary_unary("Unary")(b""),
        "Stream": lambda: peer.unary_stream("Stream")(b""),
        "Collect": lambda: peer.stream_unary("Collect")(),
        "Converse": lambda: peer.stream_stream("Converse")(),
    }[name]()
    if name in {"Collect", "Converse"}:
        await call.write(b"a")
    return call


async def consume(call: Any) -> None:
    if hasattr(call, "__aiter__"):
        async for _ in call:
            pass
    else:
        await call


@pytest.mark.parametrize("name", ["Unary", "Stream", "Collect", "Converse"])
async def test_cancel_reaches_the_handler(serve: Serve, name: str) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    call = await open_call(peer, name)
    await waiting.begun.wait()
    done: list[bool] = []
    call.add_done_callback(lambda ended: done.append(ended.cancelled()))
    assert call.cancel()
    assert not call.cancel()
    assert call.done()
    assert call.cancelled()
    assert done == [True]
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert await call.details() == LOCALLY
    assert await call.trailing_metadata() == grpc.aio.Metadata()
    with pytest.raises(asyncio.CancelledError):
        await consume(call)
    assert await waiting.wait_for_end() is not None


@pytest.mark.parametrize("name", ["Unary", "Stream", "Collect", "Converse"])
async def test_a_cancelled_task_cancels_its_call(serve: Serve, name: str) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    call = await open_call(peer, name)
    task = asyncio.create_task(consume(call))
    await waiting.begun.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.cancelled()
    assert await call.details() == LOCALLY
    assert await waiting.wait_for_end() is not None


async def test_a_call_can_be_cancelled_before_it_gets_anywhere(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    for shape, name in (
        (peer.unary_unary, "Unary"),
        (peer.unary_stream, "Stream"),
    ):
        call = shape(name)(b"")
        call.cancel()
        assert await call.code() is grpc.StatusCode.CANCELLED
        with pytest.raises(asyncio.CancelledError):
            await consume(call)


async def test_leaving_the_loop_does_not_end_the_call(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    call = peer.unary_stream("Stream")(b"")
    async for response in call:
        assert response == b"first"
        break
    await asyncio.sleep(0.1)
    assert not waiting.ended.is_set()
    assert not call.done()
    call.cancel()
    assert await waiting.wait_for_end() is not None


@pytest.mark.parametrize("how", ["break", "raise", "return"])
async def test_leaving_its_block_ends_the_call(serve: Serve, how: str) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())

    async def use() -> None:
        async with stream(peer.unary_stream("Stream")(b"")) as responses:
            async for _ in responses:
                if how == "raise":
                    raise LookupError
                if how == "return":
                    return
                break

    if how == "raise":
        with pytest.raises(LookupError):
            await use()
    else:
        await use()
    assert await waiting.wait_for_end() is not None


async def test_a_finished_call_is_left_in_peace(serve: Serve) -> None:
    peer = await serve(ECHO)
    async with stream(peer.unary_stream("Count")(b"3")) as call:
        assert len([response async for response in call]) == 3
    assert await call.code() is grpc.StatusCode.OK


async def test_a_handler_that_waits_sees_a_cancelled_error(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    call = peer.unary_stream("Stream")(b"")
    assert await call.read() == b"first"
    call.cancel()
    assert isinstance(await waiting.wait_for_end(), asyncio.CancelledError)


async def test_a_handler_that_is_held_up_by_its_client_is_ended_too(serve: Serve) -> None:
    ended = asyncio.Event()
    sent = 0

    async def flood(request: bytes, context: Any) -> AsyncIterator[bytes]:
        nonlocal sent
        try:
            while True:
                yield b"x" * 10_000
                sent += 1
        finally:
            ended.set()

    peer = await serve({"Flood": unary_stream(flood)})
    call = peer.unary_stream("Flood")(b"")
    await call.read()
    await asyncio.sleep(0.1)
    call.cancel()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_an_iterator_that_fails_cancels_its_call(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())

    async def requests() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("nothing more")

    call = peer.stream_stream("Converse")(requests())
    with pytest.raises(asyncio.CancelledError):
        await consume(call)
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert await call.details() == LOCALLY


async def test_what_is_sent_to_a_client_that_left_is_refused(serve: Serve) -> None:
    refused: list[BaseException] = []
    over = asyncio.Event()

    async def stubborn(request: bytes, context: Any) -> None:
        await context.write(b"one")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await context.write(b"two")
            except Exception as error:
                refused.append(error)
            over.set()
            raise

    peer = await serve({"Stubborn": unary_stream(stubborn)})
    call = peer.unary_stream("Stubborn")(b"")
    assert await call.read() == b"one"
    call.cancel()
    async with asyncio.timeout(5):
        await over.wait()
    assert len(refused) == 1
    assert isinstance(refused[0], grpc.aio.InternalError)


async def test_writing_to_a_cancelled_call_is_refused(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.stream_stream("EchoAll")()
    await call.write(b"1")
    assert await call.read() == b"1"
    call.cancel()
    with pytest.raises(asyncio.InvalidStateError, match=r"RPC already finished\."):
        await call.write(b"2")
    with pytest.raises(asyncio.CancelledError):
        await call.read()


async def test_a_cancelled_writer_ends_its_call(serve: Serve) -> None:
    async def never_read(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    peer = await serve({"NeverRead": stream_stream(never_read)})
    call = peer.stream_stream("NeverRead")()

    async def write() -> None:
        while True:
            await call.write(b"x" * 100_000)

    writer = asyncio.create_task(write())
    await asyncio.sleep(0.1)
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_a_client_that_left_can_be_told_from_one_that_finished(serve: Serve) -> None:
    endings: list[str] = []
    ended = asyncio.Event()

    async def listen(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        try:
            # As long as it takes on the slowest machine; a client that left is not waited for.
            async for request in until_half_close(requests, grace=0.01 if brief else 30):
                yield request
            endings.append("finished")
        except (asyncio.CancelledError, GeneratorExit):
            endings.append("left")
            raise
        finally:
            ended.set()

    peer = await serve({"Listen": stream_stream(listen)})
    brief = True
    call = peer.stream_stream("Listen")(iter([b"a", b"b"]))
    assert [response async for response in call] == [b"a", b"b"]
    brief = False
    for _ in range(20):
        ended.clear()
        call = peer.stream_stream("Listen")()
        await call.write(b"a")
        assert await call.read() == b"a"
        call.cancel()
        async with asyncio.timeout(10):
            await ended.wait()
    assert endings == ["finished"] + ["left"] * 20
