"""An answer of which only the speech is left survives any number of losses."""

import pytest
from orchestrator_rig import RATE, audio_out, eventually

from ensemble.v1 import common_pb2, session_pb2

pytestmark = pytest.mark.unit

FRAME = RATE // 50


async def test_an_answer_whose_text_is_whole_is_spoken_after_a_second_loss(rig) -> None:
    rig.peers.router.say(" ".join(f"w{n}" for n in range(10)))
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.until("response_text_done")
        await client.until("response_audio_delta", 3)
        last = client.record[-1].sequence
        response = client.of("response_started")[0].response_id
    for loss in (1, 2):
        await rig.restart()
        await eventually(lambda loss=loss: len(rig.peers.tts.texts) == 1 + loss)
    async with rig.client(
        session_id=client.session_id,
        resume_from_sequence=last,
        playback={"response_id": response, "played_samples": 3 * FRAME},
    ) as back:
        first = (await back.until("response_audio_delta")).response_audio_delta
        await back.until("response_audio_delta", 47)
        await back.send(playback_report={"response_id": response, "played_samples": 50 * FRAME})
        done = (await back.until("response_done")).response_done
    assert first.offset_samples == 3 * FRAME
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert len(rig.peers.router.starts) == 1
