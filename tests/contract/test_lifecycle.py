"""Servers that come, drain and go; channels that wait, close and find them again."""

import asyncio
from typing import Any

import grpc
import pytest

from ensemble.core.errors import ServiceUnavailableError
from ensemble.transport.status import from_rpc_error
from tests.contract.conftest import SERVICE, Serve
from tests.contract.handlers import ECHO, Waiting, failure, text, unary_unary

pytestmark = pytest.mark.contract

ECHO_METHOD = f"/{SERVICE}/Echo"


async def test_nobody_there_is_unavailable(serve: Serve) -> None:
    address = serve.nowhere()
    channel = serve.dial(address)
    for call in (
        channel.unary_unary(ECHO_METHOD)(b""),
        channel.unary_stream(f"/{SERVICE}/Count")(b"1"),
        channel.stream_unary(f"/{SERVICE}/Total")(iter([b"1"])),
        channel.stream_stream(f"/{SERVICE}/EchoAll")(iter([b"1"])),
    ):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert (error.details() or "").startswith(
            "failed to connect to all addresses; last error: "
        )
        assert _as_dialled(address) in (error.details() or "")
        assert isinstance(from_rpc_error(error), ServiceUnavailableError)
    assert channel.get_state() is not grpc.ChannelConnectivity.READY


def _as_dialled(address: str) -> str:
    return f"ipv4:{address}" if address[0].isdigit() else address


async def test_a_call_may_wait_for_its_server(serve: Serve) -> None:
    address, server = serve.bind()
    server.add_registered_method_handlers(SERVICE, ECHO)
    channel = serve.dial(address)
    waiting = channel.unary_unary(ECHO_METHOD)(b"patient", wait_for_ready=True, timeout=20)
    ready = asyncio.create_task(channel.channel_ready())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert not ready.done()
    await server.start()
    serve.stack.push_async_callback(server.stop, None)
    assert await waiting == b"patient"
    async with asyncio.timeout(5):
        await ready
    assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_a_call_that_waits_can_be_cancelled_or_time_out(serve: Serve) -> None:
    channel = serve.dial(serve.nowhere())
    error = await failure(channel.unary_unary(ECHO_METHOD)(b"", wait_for_ready=True, timeout=0.1))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    waiting = channel.unary_unary(ECHO_METHOD)(b"", wait_for_ready=True)
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_stopping_lets_open_calls_finish(serve: Serve) -> None:
    gate = asyncio.Event()
    begun = asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        begun.set()
        await gate.wait()
        return request

    peer = await serve({"Wait": unary_unary(wait), **ECHO})
    call = peer.unary_unary("Wait")(b"finished")
    await begun.wait()
    stopping = asyncio.create_task(peer.server.stop(5))
    await asyncio.sleep(0.1)
    error = await failure(peer.unary_unary("Echo")(b"new"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert not stopping.done()
    gate.set()
    assert await call == b"finished"
    async with asyncio.timeout(5):
        await stopping


async def test_stopping_cancels_what_is_still_open(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    call = peer.unary_stream("Stream")(b"")
    assert await call.read() == b"first"
    began = asyncio.get_running_loop().time()
    await peer.server.stop(0.2)
    assert asyncio.get_running_loop().time() - began < 4
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert text(raised.value) == "Cancelling all calls"
    assert isinstance(await waiting.wait_for_end(), asyncio.CancelledError)
    await peer.server.stop(None)
    assert await peer.server.wait_for_termination(1) is False


async def test_a_running_server_does_not_terminate_by_itself(serve: Serve) -> None:
    peer = await serve(ECHO)
    assert await peer.server.wait_for_termination(0.05) is True


async def test_a_server_that_comes_back_is_found_at_once(serve: Serve) -> None:
    address, server = serve.bind()
    server.add_registered_method_handlers(SERVICE, ECHO)
    await server.start()
    channel = serve.dial(address)
    echo = channel.unary_unary(ECHO_METHOD)
    assert await echo(b"1") == b"1"
    await server.stop(None)
    error = await failure(echo(b"2"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    await asyncio.sleep(0.3)
    _, again = serve.bind(address=address)
    again.add_registered_method_handlers(SERVICE, ECHO)
    await again.start()
    serve.stack.push_async_callback(again.stop, None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            assert await echo(b"3") == b"3"
            break
        except grpc.aio.AioRpcError as refused:
            assert refused.code() is grpc.StatusCode.UNAVAILABLE
            assert loop.time() - began < 2, "reconnecting takes too long"
            await asyncio.sleep(0.01)


async def test_a_closed_channel_takes_no_calls(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve({**waiting.methods(), **ECHO})
    call = peer.unary_unary("Unary")(b"")
    await waiting.begun.wait()
    await peer.channel.close()
    assert call.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await waiting.wait_for_end() is not None
    with pytest.raises(grpc.aio.UsageError, match="Channel is closed"):
        await peer.unary_unary("Echo")(b"")
    assert peer.channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    await peer.channel.close()


async def test_closing_gently_waits_for_open_calls(serve: Serve) -> None:
    gate = asyncio.Event()
    begun = asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        begun.set()
        await gate.wait()
        return request

    peer = await serve({"Wait": unary_unary(wait)})
    call = peer.unary_unary("Wait")(b"finished")
    await begun.wait()
    closing = asyncio.create_task(peer.channel.close(5))
    await asyncio.sleep(0.05)
    assert not closing.done()
    gate.set()
    assert await call == b"finished"
    async with asyncio.timeout(4):
        await closing


async def test_a_channel_is_closed_by_its_block(serve: Serve) -> None:
    peer = await serve(ECHO)
    async with peer.channel as channel:
        assert await channel.unary_unary(ECHO_METHOD)(b"x") == b"x"
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
