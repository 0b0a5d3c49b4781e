"""The largest message, in both directions."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.contract.conftest import Serve
from tests.contract.handlers import (
    ECHO,
    Waiting,
    failure,
    text,
    unary_stream,
    unary_unary,
)

pytestmark = pytest.mark.contract

MIB = 1024 * 1024
LARGE = b"x" * (5 * MIB)
SIZE = len(LARGE)
LIMIT = 4 * MIB


async def test_a_message_of_the_largest_size_passes(serve: Serve) -> None:
    peer = await serve(ECHO)
    assert len(await peer.unary_unary("Echo")(b"x" * LIMIT)) == LIMIT


async def test_a_request_that_is_too_large_never_reaches_the_handler(serve: Serve) -> None:
    called: list[int] = []

    async def measure(request: bytes, context: Any) -> bytes:
        called.append(len(request))
        return b""

    peer = await serve({"Measure": unary_unary(measure)})
    error = await failure(peer.unary_unary("Measure")(LARGE))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert text(error) == f"SERVER: Received message larger than max ({SIZE} vs. {LIMIT})"
    assert called == []


async def test_a_request_that_is_too_large_ends_its_stream(serve: Serve) -> None:
    waiting = Waiting()
    peer = await serve(waiting.methods())
    for name, shape in (("Collect", peer.stream_unary), ("Converse", peer.stream_stream)):
        error = await failure(shape(name)(iter([b"small", LARGE])))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert text(error) == f"SERVER: Received message larger than max ({SIZE} vs. {LIMIT})"
        await waiting.wait_for_end()
        waiting.ended.clear()
    assert LARGE not in waiting.read


async def test_a_response_that_is_too_large_fails_the_call(serve: Serve) -> None:
    async def large(request: bytes, context: Any) -> bytes:
        return LARGE

    async def growing(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"small"
        yield LARGE
        yield b"never read"

    peer = await serve({"Large": unary_unary(large), "Growing": unary_stream(growing)})
    error = await failure(peer.unary_unary("Large")(b""))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert text(error) == f"CLIENT: Received message larger than max ({SIZE} vs. {LIMIT})"
    call = peer.unary_stream("Growing")(b"")
    assert await call.read() == b"small"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert text(raised.value) == f"CLIENT: Received message larger than max ({SIZE} vs. {LIMIT})"


async def test_limits_are_configured_on_either_side(serve: Serve) -> None:
    peer = await serve(
        ECHO,
        server_options=(("grpc.max_receive_message_length", 1000),),
        client_options=(("grpc.max_receive_message_length", 500),),
    )
    assert len(await peer.unary_unary("Echo")(b"x" * 500)) == 500
    error = await failure(peer.unary_unary("Echo")(b"x" * 501))
    assert text(error) == "CLIENT: Received message larger than max (501 vs. 500)"
    error = await failure(peer.unary_unary("Echo")(b"x" * 1001))
    assert text(error) == "SERVER: Received message larger than max (1001 vs. 1000)"


async def test_what_is_sent_can_be_limited_too(serve: Serve) -> None:
    peer = await serve(
        ECHO,
        server_options=(("grpc.max_send_message_length", 10),),
        client_options=(("grpc.max_send_message_length", 20),),
    )
    error = await failure(peer.unary_unary("Echo")(b"x" * 21))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert text(error) == "CLIENT: Sent message larger than max (21 vs. 20)"
    error = await failure(peer.unary_unary("Echo")(b"x" * 11))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert text(error) == "SERVER: Sent message larger than max (11 vs. 10)"
