"""A server that has said all it had to say ends the call, whatever its client still sends.

``grpc.aio`` counts a call as over once a write has failed, and ``call.read()`` then gives nothing
of what is still to be read. Iterating over the call gives all of it, and the true status.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from ensemble.core.errors import RateLimitedError
from ensemble.transport.status import DETAILS_KEY, from_rpc_error, to_status
from tests.contract.conftest import Serve
from tests.contract.handlers import stream_stream

pytestmark = pytest.mark.contract

_CALLS = 200
_RESPONSES = 20


async def flood() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 30
        await asyncio.sleep(0)


async def test_nothing_is_lost_of_what_it_said(serve: Serve) -> None:
    async def answer(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await anext(aiter(requests))
        for _ in range(_RESPONSES):
            yield b"y" * 1000

    peer = await serve({"Answer": stream_stream(answer)})
    method = peer.stream_stream("Answer")
    for _ in range(_CALLS):
        call = method(flood())
        received = 0
        async for _ in call:
            received += 1
            await asyncio.sleep(0)  # a reader that falls behind
        assert received == _RESPONSES
        assert await call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("responses", [0, 3])
async def test_its_error_arrives_as_itself(serve: Serve, responses: int) -> None:
    status = to_status(RateLimitedError(retry_after=1.5))

    async def refuse(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await anext(aiter(requests))
        for _ in range(responses):
            yield b"y"
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            status.message,
            ((DETAILS_KEY, status.SerializeToString()),),
        )

    peer = await serve({"Refuse": stream_stream(refuse)})
    method = peer.stream_stream("Refuse")
    for _ in range(_CALLS):
        received = 0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in method(flood()):
                received += 1
        assert received == responses
        error = from_rpc_error(caught.value)
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 1.5
