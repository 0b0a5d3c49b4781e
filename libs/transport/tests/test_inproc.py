"""What is particular to the in-process transport; the rest is in the contract suite."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from ensemble.transport import InProcessServer, open_channel
from ensemble.transport.inproc.pipe import Pipe

pytestmark = pytest.mark.unit


class Endless:
    """Streams until it is stopped, and says what stopped it."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.sent = 0

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"%d" % self.sent
                self.sent += 1
        finally:
            self.ended.set()


async def start(name: str, **methods: Any) -> InProcessServer:
    server = InProcessServer(name)
    server.add_registered_method_handlers("t.T", methods)
    await server.start()
    return server


async def test_only_a_few_messages_are_under_way() -> None:
    endless = Endless()
    server = await start("paced", Stream=grpc.unary_stream_rpc_method_handler(endless.stream))
    async with open_channel("inproc:paced") as channel:
        call = channel.unary_stream("/t.T/Stream")(b"")  # type: ignore[arg-type]
        for read in range(1, 20):
            assert await call.read() == b"%d" % (read - 1)
            await asyncio.sleep(0)
            assert endless.sent <= read + 20
        call.cancel()
    await server.stop(None)
    assert endless.ended.is_set()


async def test_a_stream_that_nobody_holds_is_cancelled() -> None:
    endless = Endless()
    server = await start("dropped", Stream=grpc.unary_stream_rpc_method_handler(endless.stream))
    channel = open_channel("inproc:dropped")
    call = channel.unary_stream("/t.T/Stream")(b"")  # type: ignore[arg-type]
    call.add_done_callback(lambda _: None)
    await call.read()
    del call
    gc.collect()
    async with asyncio.timeout(5):
        await endless.ended.wait()
    await channel.close()
    await server.stop(None)


async def test_a_unary_call_that_nobody_awaits_runs_on() -> None:
    served = asyncio.Event()

    async def serve(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0.01)
        served.set()
        return b""

    server = await start("unheld", Serve=grpc.unary_unary_rpc_method_handler(serve))
    channel = open_channel("inproc:unheld")
    channel.unary_unary("/t.T/Serve")(b"")  # type: ignore[arg-type]
    gc.collect()
    async with asyncio.timeout(5):
        await served.wait()
    await channel.close()
    await server.stop(None)


async def test_a_name_is_served_once() -> None:
    server = await start("single")
    with pytest.raises(RuntimeError, match="inproc:single is already served"):
        await start("single")
    await server.stop(None)
    await (await start("single")).stop(None)


async def test_names_belong_to_their_loop() -> None:
    server = await start("here")

    async def elsewhere() -> grpc.StatusCode:
        async with open_channel("inproc:here") as channel:
            return await channel.unary_unary("/t.T/Any")(b"").code()  # type: ignore[arg-type]

    assert await asyncio.to_thread(asyncio.run, elsewhere()) is grpc.StatusCode.UNAVAILABLE
    await server.stop(None)


async def test_there_are_no_ports() -> None:
    server = InProcessServer("portless")
    with pytest.raises(grpc.aio.UsageError):
        server.add_insecure_port("127.0.0.1:0")
    with pytest.raises(grpc.aio.UsageError):
        server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(b"", b"")]))
    await server.stop(None)
    assert await server.wait_for_termination(0) is False


async def test_a_handler_that_lets_a_cancellation_escape_ends_the_call() -> None:
    async def escape(request: bytes, context: Any) -> bytes:
        raise asyncio.CancelledError

    server = await start("escape", Escape=grpc.unary_unary_rpc_method_handler(escape))
    async with open_channel("inproc:escape") as channel:
        call = channel.unary_unary("/t.T/Escape")(b"", timeout=5)  # type: ignore[arg-type]
        assert await call.code() is grpc.StatusCode.CANCELLED
    await server.stop(None)


async def test_handlers_that_are_not_asynchronous_are_refused() -> None:
    def unary(request: bytes, context: Any) -> bytes:
        return request

    def stream(request: bytes, context: Any) -> Any:
        return iter([request])

    server = await start(
        "sync",
        Unary=grpc.unary_unary_rpc_method_handler(unary),
        Stream=grpc.unary_stream_rpc_method_handler(stream),
    )
    async with open_channel("inproc:sync") as channel:
        for call in (
            channel.unary_unary("/t.T/Unary")(b""),  # type: ignore[arg-type]
            channel.unary_stream("/t.T/Stream")(b""),  # type: ignore[arg-type]
        ):
            assert await call.code() is grpc.StatusCode.UNKNOWN
            assert "must be" in await call.details()
    await server.stop(None)


async def test_a_pipe_takes_one_writer_and_one_reader() -> None:
    pipe = Pipe(asyncio.get_running_loop())
    reader = asyncio.create_task(pipe.get())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one read"):
        await pipe.get()
    assert pipe.offer(b"handed over")
    assert await reader == b"handed over"
    offered = filled(pipe)
    assert 1 < len(offered) < 20
    writer = asyncio.create_task(pipe.put(b"withdrawn"))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one write"):
        await pipe.put(b"3")
    writer.cancel()
    await asyncio.wait({writer})
    assert [await pipe.get() for _ in offered] == offered
    assert pipe.take() is None
    pipe.close()
    assert await pipe.get() is None
    assert pipe.offer(b"swallowed")


def filled(pipe: Pipe, size: int = 1) -> list[bytes]:
    """Return what a pipe takes until it is full."""
    offered = []
    while pipe.offer(message := bytes([len(offered)]) * size):
        offered.append(message)
    return offered


async def test_a_waiting_writer_goes_on_in_order_before_the_pipe_is_empty() -> None:
    pipe = Pipe(asyncio.get_running_loop())
    offered = filled(pipe)
    writer = asyncio.create_task(pipe.put(b"last"))
    await asyncio.sleep(0)
    read = []
    while not writer.done():
        read.append(pipe.take())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not pipe.is_empty
    while not pipe.is_empty:
        read.append(pipe.take())
    assert read == [*offered, b"last"]


async def test_large_messages_do_not_pile_up() -> None:
    pipe = Pipe(asyncio.get_running_loop())
    assert len(filled(pipe, 1 << 20)) == 1
    writer = asyncio.create_task(pipe.put(b"next"))
    await asyncio.sleep(0)
    assert len(pipe.take() or b"") == 1 << 20
    await writer
    assert pipe.take() == b"next"


@pytest.mark.parametrize("turns", range(4))
async def test_a_call_that_waits_misses_no_server_however_soon_it_comes(turns: int) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    async with open_channel("inproc:soon") as channel:
        waiting = channel.unary_unary("/t.T/Echo")(b"x", wait_for_ready=True, timeout=2)  # type: ignore[arg-type]
        for _ in range(turns):
            await asyncio.sleep(0)
        server = await start("soon", Echo=grpc.unary_unary_rpc_method_handler(echo))
        assert await waiting == b"x"
    await server.stop(None)
