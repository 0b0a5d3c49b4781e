"""A synthesiser that dies in the middle of an answer: another one goes on with it."""

import pytest
from orchestrator_rig import RATE, audio_out

from ensemble.core.errors import EngineFailedError, ServiceUnavailableError
from ensemble.v1 import common_pb2, session_pb2

pytestmark = pytest.mark.unit

FRAME = RATE // 50
WORDS = " ".join(f"w{n}" for n in range(10))


def fail_once(tts, error, frames: int) -> None:  # type: ignore[no-untyped-def]
    """Have the first call fail after so many frames."""
    speak = tts._speak
    tts.error = error

    def speaking(call, start, inbox):  # type: ignore[no-untyped-def]
        tts.fail_after = frames if call == 0 else None
        return speak(call, start, inbox)

    tts._speak = speaking


@pytest.mark.parametrize("frames", [0, 12, 50])
async def test_the_speech_goes_on_where_it_broke_off(rig, frames: int) -> None:
    fail_once(rig.peers.tts, ServiceUnavailableError(), frames)
    rig.peers.router.say(WORDS)
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert not client.of("error")
    assert rig.peers.tts.texts[-1] == WORDS
    heard = client.of("response_audio_delta")
    assert [frame.offset_samples for frame in heard] == [n * FRAME for n in range(50)]
    assert client.of("response_audio_done")[0].total_samples == 50 * FRAME


async def test_an_engine_that_fails_is_told(rig) -> None:
    fail_once(rig.peers.tts, EngineFailedError(), 12)
    rig.peers.router.say(WORDS)
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.until("response_done")
    assert client.of("error")
    assert len(rig.peers.tts.texts) == 1
