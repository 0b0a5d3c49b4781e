"""A link that carries nothing for a while: what was not heard over it is sent again."""

import asyncio

import pytest
from orchestrator_rig import RATE, audio_out

from ensemble.v1 import common_pb2, session_pb2

pytestmark = pytest.mark.unit

FRAME = RATE // 50


async def test_an_answer_is_not_over_while_a_client_that_reports_falls_silent(rig) -> None:
    rig.peers.router.say("one two three four")
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.send(heartbeat=common_pb2.Heartbeat())
        await client.until("response_audio_delta", 5)
        last = client.record[-1].sequence
        response = client.of("response_started")[0].response_id
        heard = {"response_id": response, "played_samples": 2 * FRAME}
        await client.send(playback_report=heard)
        # Longer than all of it takes to play, and long enough for the server to notice.
        await asyncio.sleep(2.2)
    resume = {"session_id": client.session_id, "resume_from_sequence": last, "playback": heard}
    async with rig.client(**resume) as back:
        await back.until("response_audio_delta", 18)
        offsets = [frame.offset_samples for frame in back.of("response_audio_delta")]
        await back.send(playback_report={"response_id": response, "played_samples": 20 * FRAME})
        await back.until("response_done")
    assert offsets == [n * FRAME for n in range(2, 20)]


async def test_a_client_that_reports_need_not_have_reported_of_this_answer(rig) -> None:
    rig.peers.router.say("one two three four")
    rig.peers.router.say("five six seven eight")
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.until("response_audio_delta", 5)
        response = client.of("response_started")[0].response_id
        await client.send(playback_report={"response_id": response, "played_samples": 20 * FRAME})
        await client.until("response_done")
        last = client.record[-1].sequence
        await client.send(heartbeat=common_pb2.Heartbeat())
        await client.say("go on")
        # The link stalls: nothing of the second answer comes, and it is longer over.
        await asyncio.sleep(2.2)
    resume = {"session_id": client.session_id, "resume_from_sequence": last}
    async with rig.client(**resume) as back:
        await back.until("response_audio_delta", 20)
        offsets = [frame.offset_samples for frame in back.of("response_audio_delta")]
    assert offsets == [n * FRAME for n in range(20)]


async def test_a_client_may_say_at_its_start_that_it_reports(rig) -> None:
    rig.peers.router.say("one two three four")
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config, playback={}) as client:
        await client.until("started")
        await client.send(heartbeat=common_pb2.Heartbeat())
        await client.say("count")
        # The link stalls before it has ever reported.
        await asyncio.sleep(2.2)
    resume = {"session_id": client.session_id, "resume_from_sequence": 1, "playback": {}}
    async with rig.client(**resume) as back:
        await back.until("response_audio_delta", 20)
        offsets = [frame.offset_samples for frame in back.of("response_audio_delta")]
    assert offsets == [n * FRAME for n in range(20)]
