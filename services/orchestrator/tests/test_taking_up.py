"""What was under way when a process ended goes on in the next one."""

import asyncio
import json

import pytest
from conftest import STORES, settings_on
from orchestrator_rig import RATE, eventually, voice_config

from ensemble.v1 import common_pb2

pytestmark = pytest.mark.unit


@pytest.fixture(params=STORES)
async def settings(request, tmp_path):  # type: ignore[no-untyped-def]
    async with settings_on(request.param, tmp_path) as chosen:
        yield chosen


COUNTING = "one two three four five six"


def context_of(start):  # type: ignore[no-untyped-def]
    return start.context.attempt, start.context.purpose


async def test_an_answer_goes_on_from_its_committed_text(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.2)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta", 2)
        last = client.record[-1].sequence
    rig.peers.router.say("and so on")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=last) as back:
        done = (await back.until("response_done")).response_done
        await back.finish()
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert not back.of("response_started")
    resumed = rig.peers.router.starts[-1]
    assert COUNTING.startswith(resumed.committed_text)
    assert context_of(resumed) == (2, common_pb2.PURPOSE_RESUME)
    # What is committed before the kill but was not sent may come first.
    kinds = [event.WhichOneof("event") for event in back.record]
    assert kinds.count("response_resumed") == 1
    assert set(kinds[: kinds.index("response_resumed")]) <= {"response_text_delta"}
    whole = resumed.committed_text + "and so on"
    assert back.of("response_text_done")[0].text == whole
    assert client.text() + back.text() == whole
    assert [event.sequence for event in back.record] == list(
        range(last + 1, last + 1 + len(back.record))
    )


async def test_it_goes_on_while_nobody_is_attached(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.2)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
    rig.peers.router.say("done")
    await rig.restart()
    await eventually(lambda: rig.peers.router.finished == 2)
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    assert back.text().endswith("done")


async def test_a_turn_without_an_answer_gets_one(rig) -> None:
    rig.peers.router.say("never said", first_s=30.0)
    async with rig.client() as client:
        await client.say("hello")
        await client.until("input_committed")
    rig.peers.router.say("Hello!")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    assert back.text() == "Hello!"
    assert len(back.of("response_started")) == 1


async def test_a_complete_tool_call_is_not_run_again(rig) -> None:
    ran: list[dict[str, object]] = []
    rig.peers.tools.add("lamp", lambda arguments: ran.append(arguments) or {"ok": True})
    rig.peers.router.call("lamp", '{"on": true}')
    rig.peers.router.say("never said", first_s=30.0)
    async with rig.client() as client:
        await client.say("light")
        await client.until("response_tool_done")
    rig.peers.router.say("It is on.")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    assert back.text() == "It is on."
    assert len(ran) == 1
    roles = [message.role for message in rig.peers.router.starts[-1].messages]
    assert len(roles) == 3
    told = rig.peers.router.starts[-1].messages[-1].tool_results[0]
    assert json.loads(told.result_json) == {"ok": True}


async def test_a_tool_call_under_way_is_made_again_with_its_key(rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True}, seconds=30.0)
    rig.peers.router.call("lamp")
    async with rig.client() as client:
        await client.say("light")
        await client.until("response_tool_call")
        await eventually(lambda: len(rig.peers.tools.calls) == 1)
    rig.peers.tools.seconds["lamp"] = 0.0
    rig.peers.router.say("It is on.")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    first, second = rig.peers.tools.calls
    assert first.context.idempotency_key == second.context.idempotency_key
    assert second.context.attempt == 2
    assert len(back.of("response_tool_done")) == 1
    assert back.text() == "It is on."


async def test_a_call_that_is_lost_twice_ends_the_answer(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.2)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
    rig.peers.router.say("never said", first_s=30.0)
    await rig.restart()
    await eventually(lambda: len(rig.peers.router.starts) == 2)
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        done = (await back.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    assert "SERVICE_UNAVAILABLE" in str(done.error)
    assert len(rig.peers.router.starts) == 2


async def test_speech_goes_on_at_the_sample_that_was_heard(rig) -> None:
    rig.peers.router.say("one two three four five six seven eight")
    config = voice_config()
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.until("response_audio_delta", 12)
        response = client.of("response_audio_delta")[0].response_id
        last = client.record[-1].sequence
    await rig.restart()
    played = 9 * RATE // 50 + 100
    async with rig.client(
        session_id=client.session_id,
        resume_from_sequence=last,
        playback={"response_id": response, "played_samples": played},
    ) as back:
        reporting = asyncio.create_task(_report(back))
        await back.until("response_done")
        reporting.cancel()
    frames = back.of("response_audio_delta")
    expected = played
    for frame in frames:
        assert frame.response_id == response
        assert frame.offset_samples == expected
        expected += len(frame.pcm) // 2
    total = back.of("response_audio_done")[0].total_samples
    assert expected == total
    assert back.of("response_done")[0].stop_reason == common_pb2.STOP_REASON_COMPLETED


async def _report(client) -> None:  # type: ignore[no-untyped-def]
    seen = 0
    while True:
        frames = client.of("response_audio_delta")
        for frame in frames[seen:]:
            end = frame.offset_samples + len(frame.pcm) // 2
            await client.send(
                playback_report={"response_id": frame.response_id, "played_samples": end}
            )
        seen = len(frames)
        await asyncio.sleep(0.02)


async def test_peers_that_are_still_starting_are_waited_for(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.2)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
    await rig.stop()
    await rig.peers.stop("model-router")
    await rig.start()
    rig.peers.router.say("and so on")
    await asyncio.sleep(0.3)
    await rig.peers.serve("model-router")
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        done = (await back.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert back.text().endswith("and so on")
