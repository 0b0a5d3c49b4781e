"""A voice that was stopped says nothing more, even before its task has ended."""

import asyncio

import pytest
from orchestrator_rig import RATE, eventually

from ensemble.orchestrator.adapters.peer_stream import Settling
from ensemble.orchestrator.adapters.speech import TtsSynthesizer
from ensemble.orchestrator.voice import Voice
from ensemble.v1 import common_pb2, session_events_pb2, tts_service_pb2

pytestmark = pytest.mark.unit


async def test_no_frame_is_sent_after_the_flush(peers) -> None:
    sent: list[int] = []

    async def send(event: session_events_pb2.ServerEvent) -> bool:
        sent.append(event.response_audio_delta.offset_samples)
        return True

    async def complain(error: Exception) -> None:
        raise AssertionError(error)

    settling = Settling()
    start = tts_service_pb2.SynthesizeStart(
        context=common_pb2.CallContext(response_id="resp_1"), sample_rate_hertz=RATE
    )
    voice = Voice(
        TtsSynthesizer(peers.get("tts"), settling),
        start,
        rate=RATE,
        lead_s=0.1,
        send=send,
        on_error=complain,
    )
    voice.say("one two three four five ")
    speaking = asyncio.create_task(voice.run())
    await eventually(lambda: len(sent) >= 3)
    voice.silence()
    said = len(sent)
    await asyncio.sleep(0.2)
    assert len(sent) == said
    assert await voice.heard(0.0) > 0
    speaking.cancel()
    await asyncio.wait({speaking})
    await settling.close()
