"""The four shapes of a call, by iteration and by reading and writing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.contract.conftest import SERVICE, Serve
from tests.contract.handlers import ECHO, stream_stream, stream_unary, unary_stream, unary_unary

pytestmark = pytest.mark.contract


async def letters(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d" % number


async def test_one_request_has_one_response(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_unary("Echo")(b"hello")
    assert await call == b"hello"
    assert await call == b"hello"
    assert await call.code() is grpc.StatusCode.OK
    assert await call.details() == ""
    assert call.done()
    assert not call.cancelled()
    assert not call.cancel()


async def test_messages_are_parsed_anew_on_each_side(serve: Serve) -> None:
    seen: list[StringValue] = []

    async def rename(request: StringValue, context: Any) -> StringValue:
        seen.append(request)
        request.value = "changed by the handler"
        return request

    handler = grpc.unary_unary_rpc_method_handler(
        rename, StringValue.FromString, StringValue.SerializeToString
    )
    peer = await serve({"Rename": handler})
    request = StringValue(value="as sent")
    response = await peer.unary_unary(
        "Rename",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )(request)
    assert request.value == "as sent"
    assert response.value == "changed by the handler"
    assert response is not seen[0]


async def test_responses_come_in_order(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_stream("Count")(b"500")
    assert [int(number) async for number in call] == list(range(500))
    assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_may_be_empty(serve: Serve) -> None:
    peer = await serve(ECHO)
    assert [response async for response in peer.unary_stream("Count")(b"0")] == []
    assert await peer.stream_unary("Total")(iter([])) == b"0"
    assert [response async for response in peer.stream_stream("EchoAll")(iter([]))] == []


async def test_an_empty_message_is_a_message(serve: Serve) -> None:
    peer = await serve(ECHO)
    assert await peer.unary_unary("Echo")(b"") == b""
    call = peer.stream_stream("EchoAll")(iter([b"", b"a", b""]))
    assert [response async for response in call] == [b"", b"a", b""]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_requests_are_drawn_from_an_iterator(serve: Serve, asynchronous: bool) -> None:
    peer = await serve(ECHO)

    def requests() -> Any:
        return letters(10) if asynchronous else iter([b"%d" % number for number in range(10)])

    assert await peer.stream_unary("Total")(requests()) == b"10"
    call = peer.stream_stream("EchoAll")(requests())
    assert [int(response) async for response in call] == list(range(10))


async def test_requests_are_written_one_by_one(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.stream_unary("Total")()
    await call.wait_for_connection()
    await call.write(b"abc")
    await call.write(b"de")
    await call.done_writing()
    await call.done_writing()
    assert await call == b"5"
    with pytest.raises(asyncio.InvalidStateError, match=r"RPC already finished\."):
        await call.write(b"f")


async def test_both_directions_take_turns(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.stream_stream("EchoAll")()
    for number in range(20):
        await call.write(b"%d" % number)
        assert await call.read() == b"%d" % number
    await call.done_writing()
    with pytest.raises(asyncio.InvalidStateError, match="half closed"):
        await call.write(b"late")
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    with pytest.raises(asyncio.InvalidStateError, match=r"RPC already finished\."):
        await call.write(b"later")
    await call.done_writing()


async def test_reading_ends_with_eof_and_stays_there(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_stream("Count")(b"2")
    assert [await call.read() for _ in range(2)] == [b"0", b"1"]
    assert await call.read() is grpc.aio.EOF
    assert await call.read() is grpc.aio.EOF
    assert call.done()


async def test_the_status_of_a_stream_is_known_once_it_is_read(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_stream("Count")(b"3")
    await call.wait_for_connection()
    assert not call.done()
    assert len([response async for response in call]) == 3
    assert call.done()


async def test_iterating_and_reading_do_not_mix(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_stream("Count")(b"5")
    await call.read()
    with pytest.raises(grpc.aio.UsageError, match="may not be mixed"):
        async for _ in call:
            pass
    other = peer.unary_stream("Count")(b"5")
    async for _ in other:
        break
    with pytest.raises(grpc.aio.UsageError, match="may not be mixed"):
        await other.read()


async def test_a_stream_that_was_left_can_be_read_on(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_stream("Count")(b"4")
    async for first in call:
        assert first == b"0"
        break
    assert [response async for response in call] == [b"1", b"2", b"3"]


async def test_a_handler_may_write_instead_of_yield(serve: Serve) -> None:
    async def write(request: bytes, context: Any) -> None:
        for number in range(3):
            await context.write(b"%d" % number)

    async def answer(requests: AsyncIterator[bytes], context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request.upper())

    peer = await serve({"Write": unary_stream(write), "Answer": stream_stream(answer)})
    written = [response async for response in peer.unary_stream("Write")(b"")]
    assert written == [b"0", b"1", b"2"]
    call = peer.stream_stream("Answer")(iter([b"a", b"b"]))
    assert [response async for response in call] == [b"A", b"B"]


async def test_a_handler_may_end_before_the_requests(serve: Serve) -> None:
    async def first(requests: AsyncIterator[bytes], context: Any) -> bytes:
        return await anext(requests)

    async def greet(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        yield b"welcome"

    peer = await serve({"First": stream_unary(first), "Greet": stream_stream(greet)})
    open_end = asyncio.Event()

    async def requests() -> AsyncIterator[bytes]:
        yield b"one"
        await open_end.wait()
        yield b"two"

    before = len(asyncio.all_tasks())
    assert await peer.stream_unary("First")(requests()) == b"one"
    call = peer.stream_stream("Greet")(requests())
    assert [response async for response in call] == [b"welcome"]
    # The iterators that were still waiting were closed with their calls.
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)


async def test_calls_do_not_wait_for_each_other(serve: Serve) -> None:
    gate = asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        await gate.wait()
        return request

    async def open_gate(request: bytes, context: Any) -> bytes:
        gate.set()
        return request

    peer = await serve({"Wait": unary_unary(wait), "Open": unary_unary(open_gate)})
    waiting = [peer.unary_unary("Wait")(b"%d" % number) for number in range(20)]
    await peer.unary_unary("Open")(b"")
    assert [int(await call) for call in waiting] == list(range(20))


async def test_done_callbacks_run_on_both_sides(serve: Serve) -> None:
    server_done = asyncio.Event()

    async def serve_one(request: bytes, context: Any) -> bytes:
        context.add_done_callback(lambda _: server_done.set())
        return request

    peer = await serve({"One": unary_unary(serve_one)})
    call = peer.unary_unary("One")(b"x")
    done: list[bool] = []
    call.add_done_callback(lambda ended: done.append(ended.done()))
    await call
    assert done == [True]
    call.add_done_callback(lambda ended: done.append(ended is call))
    assert done == [True, True]
    async with asyncio.timeout(5):
        await server_done.wait()


async def test_generic_handlers_serve_what_is_not_registered(serve: Serve) -> None:
    address, server = serve.bind()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, ECHO),))
    await server.start()
    serve.stack.push_async_callback(server.stop, None)
    channel = serve.dial(address)
    assert await channel.unary_unary(f"/{SERVICE}/Echo")(b"generic") == b"generic"


async def test_generated_stubs_pass_registered_methods(serve: Serve) -> None:
    peer = await serve(ECHO)
    echo: Any = peer.channel.unary_unary(  # type: ignore[call-arg]
        f"/{SERVICE}/Echo", request_serializer=None, _registered_method=True
    )
    assert await echo(b"registered") == b"registered"


async def test_a_time_limit_around_a_read_ends_the_requests(serve: Serve) -> None:
    # A trap of grpc.aio that must be the same everywhere: the handler's iterator is over
    # once a read of it was cancelled.
    async def impatient(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(0.05):
                await anext(requests)
        except TimeoutError:
            yield b"late"
        yield b"over" if await anext(requests, None) is None else b"goes on"

    peer = await serve({"Impatient": stream_stream(impatient)})
    call = peer.stream_stream("Impatient")()
    assert await call.read() == b"late"
    assert await call.read() == b"over"
