"""A peer's stream over a network channel, where a write can fail as the peer ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from ensemble.core.errors import EnsembleError, RateLimitedError
from ensemble.orchestrator.adapters.peer_stream import Peer, PeerStream, Settling
from ensemble.orchestrator.adapters.tool_server import ToolServerTools
from ensemble.testkit.ports import free_port
from ensemble.transport import open_channel
from ensemble.transport.status import DETAILS_KEY, to_status
from ensemble.v1 import tts_service_pb2, tts_service_pb2_grpc

pytestmark = pytest.mark.unit

_FRAMES = 12
_CALLS = 50

Request = tts_service_pb2.SynthesizeRequest
Response = tts_service_pb2.SynthesizeResponse


class _Speech(tts_service_pb2_grpc.TtsServiceServicer):
    """Says everything at once and ends, or refuses, while its caller still sends."""

    def __init__(self) -> None:
        self.refusal: RateLimitedError | None = None
        self.asked = 0
        self.answers = asyncio.Semaphore(1_000_000)

    async def Synthesize(
        self, request_iterator: AsyncIterator[Request], context: Any
    ) -> AsyncIterator[Response]:
        await anext(aiter(request_iterator))
        self.asked += 1
        await self.answers.acquire()
        if self.refusal is not None:
            status = to_status(self.refusal).SerializeToString()
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", ((DETAILS_KEY, status),)
            )
        for _ in range(_FRAMES):
            yield Response(audio={"pcm": b"\1\0" * 400})
        yield Response(done={})


@pytest.fixture
def speech() -> _Speech:
    return _Speech()


@pytest.fixture
async def channel(speech: _Speech) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    tts_service_pb2_grpc.add_TtsServiceServicer_to_server(speech, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


async def _hear(channel: grpc.aio.Channel, patience_s: float) -> list[str]:
    """Take everything of one call while sending all the time; return the kinds of the events."""
    stream = PeerStream[Request, Response](
        tts_service_pb2_grpc.TtsServiceStub(channel).Synthesize,
        Request,
        Peer("peer", Settling()),
        Request(start={}),
        patience_s=patience_s,
    )
    kinds = []
    async with stream:
        sending = asyncio.create_task(_allow(stream))
        try:
            async for response in stream:
                kinds.append(response.WhichOneof("event") or "")
                await asyncio.sleep(0)
        finally:
            sending.cancel()
    return kinds


async def _allow(stream: "PeerStream[Request, Response]") -> None:
    while True:
        await stream.send(Request(credit={"events": 1}))
        await asyncio.sleep(0)


@pytest.mark.parametrize("patience_s", [0.0, 10.0])
async def test_a_peer_that_ends_first_is_heard_to_its_end(
    channel: grpc.aio.Channel, patience_s: float
) -> None:
    for _ in range(_CALLS):
        assert await _hear(channel, patience_s) == ["audio"] * _FRAMES + ["done"]


@pytest.mark.parametrize("patience_s", [0.0, 10.0])
async def test_a_refusal_arrives_as_itself(
    channel: grpc.aio.Channel, speech: _Speech, patience_s: float
) -> None:
    speech.refusal = RateLimitedError(retry_after=1.5)
    for _ in range(_CALLS):
        with pytest.raises(RateLimitedError):
            await _hear(channel, patience_s)


@pytest.mark.parametrize("patience_s", [0.0, 0.3])
async def test_a_peer_that_is_not_there_is_named(patience_s: float) -> None:
    async with open_channel(f"127.0.0.1:{free_port()}") as channel:
        with pytest.raises(EnsembleError, match="The peer does not answer; 'ensemble status'"):
            await _hear(channel, patience_s)
        with pytest.raises(EnsembleError, match="The tool server does not answer"):
            await ToolServerTools(channel, Settling(), 0.3).list_tools()


async def test_only_so_many_wait_for_their_first_answer(
    channel: grpc.aio.Channel, speech: _Speech
) -> None:
    stub, settling = tts_service_pb2_grpc.TtsServiceStub(channel), Settling()
    speech.answers, peer = asyncio.Semaphore(0), Peer("peer", settling, asked_at_once=2)

    async def hear() -> int:
        stream: PeerStream[Request, Response] = PeerStream(
            stub.Synthesize, Request, peer, Request(start={}), patience_s=5.0
        )
        async with stream:
            return len([each async for each in stream])

    hearing = [asyncio.create_task(hear()) for _ in range(6)]
    async with asyncio.timeout(10):
        for answered in range(5):
            while speech.asked < 2 + answered:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.02)
            assert speech.asked == 2 + answered
            speech.answers.release()
        speech.answers.release()
        assert await asyncio.gather(*hearing) == [_FRAMES + 1] * 6
    await settling.close()
