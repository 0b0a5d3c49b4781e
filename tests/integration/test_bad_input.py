"""Bad input gets a typed error; the service lives."""

import asyncio

import grpc
import pytest

from ensemble.core.errors import EnsembleError
from ensemble.testkit.stack import Stack
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import (
    common_pb2,
    gateway_service_pb2,
    gateway_service_pb2_grpc,
    session_events_pb2,
    session_pb2,
)

pytestmark = pytest.mark.integration

Event = session_events_pb2.ClientEvent


def _wrap(event: Event) -> gateway_service_pb2.ConverseRequest:
    return gateway_service_pb2.ConverseRequest(event=event)


async def _refusal(stack: Stack, *events: Event) -> EnsembleError:
    """Send events on a raw stream and return the error with which it ends."""
    key = (stack.home / "api-key").read_text().strip()
    async with grpc.aio.insecure_channel(stack.address) as channel:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        call = stub.Converse(
            iter([_wrap(event) for event in events]),
            metadata=(("authorization", f"Bearer {key}"),),
            timeout=20,
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for response in call:
                if response.event.WhichOneof("event") == "error":
                    call.cancel()
                    from ensemble.transport.status import from_status

                    return from_status(response.event.error)
        return from_rpc_error(caught.value)


def _start(**fields: object) -> Event:
    return Event(start=session_events_pb2.SessionStart(**fields))  # type: ignore[arg-type]


VOICE = session_pb2.SessionConfig(
    input_audio=common_pb2.AudioFormat(
        encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate_hertz=16000, channel_count=1
    )
)


async def test_a_wrong_first_message(stack: Stack) -> None:
    error = await _refusal(stack, Event(input_text=session_events_pb2.InputText(text="hello")))
    assert error.reason == "WRONG_FIRST_MESSAGE"
    assert (await stack.ask("hello"))["text"]


async def test_an_unknown_session(stack: Stack) -> None:
    error = await _refusal(stack, _start(session_id="ses_nothing"))
    assert error.reason == "SESSION_NOT_FOUND"


async def test_a_message_outside_the_contract(stack: Stack) -> None:
    error = await _refusal(stack, _start(session_id="x" * 65))
    assert error.reason == "INVALID_ARGUMENT"
    assert "session_id" in str(getattr(error, "violations", "")) + error.message


async def test_an_oversize_message(stack: Stack) -> None:
    big = Event(input_audio=session_events_pb2.InputAudio(data=b"\0" * (5 << 20)))
    error = await _refusal(stack, _start(config=VOICE), big)
    assert error.code == "RESOURCE_EXHAUSTED"
    assert (await stack.ask("hello"))["text"]


async def test_a_sequence_from_the_future(stack: Stack) -> None:
    session = (await stack.ask("hello"))["session_id"]
    error = await _refusal(stack, _start(session_id=session, resume_from_sequence=10_000))
    assert error.reason == "RESUME_OUT_OF_RANGE"


async def test_an_unsupported_audio_format(stack: Stack) -> None:
    config = session_pb2.SessionConfig()
    config.CopyFrom(VOICE)
    config.input_audio.sample_rate_hertz = 100
    audio = Event(input_audio=session_events_pb2.InputAudio(data=b"\0" * 640))
    error = await _refusal(stack, _start(config=config), audio)
    assert error.reason in ("UNSUPPORTED_AUDIO_FORMAT", "INVALID_AUDIO")


async def test_half_a_character_is_not_accepted_as_text(stack: Stack) -> None:
    key = (stack.home / "api-key").read_text().strip()
    start = _wrap(_start()).SerializeToString()
    text = _wrap(Event(input_text=session_events_pb2.InputText(text="caf~"))).SerializeToString()
    broken = text.replace(b"~", b"\xc3")
    async with grpc.aio.insecure_channel(stack.address) as channel:
        call = channel.stream_stream("/ensemble.v1.GatewayService/Converse")(
            iter([start, broken]), metadata=(("authorization", f"Bearer {key}"),), timeout=20
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    assert (await stack.ask("hello"))["text"]


async def test_a_client_that_vanishes_mid_word_leaves_its_session(stack: Stack) -> None:
    async with stack.client() as client:
        async with client.converse(config=VOICE) as conversation:
            session = conversation.session_id
            await conversation.send_audio(bytes(640), samples=320)
        async with client.converse(session_id=session) as back, asyncio.timeout(20):
            assert back.session_id == session
            await back.send_text("what time is it")
            async for event in back:
                if event.WhichOneof("event") == "response_done":
                    break
