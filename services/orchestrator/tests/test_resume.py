"""Clients that vanish, come back, take over or are slow; processes that end in the middle."""

import asyncio
import gc
import resource
import tracemalloc

import pytest
from orchestrator_rig import RATE, Rig, audio_out, eventually, voice_config

from ensemble.core.errors import EnsembleError, ResumeOutOfRangeError, SessionNotFoundError
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.testkit.scripted.model_router import Reply
from ensemble.v1 import common_pb2, orchestrator_service_pb2, session_pb2

pytestmark = pytest.mark.unit

FRAME = RATE // 50


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(rig) -> None:
    text = " ".join(f"w{n}" for n in range(60))
    rig.peers.router.say(text, token_s=0.01)
    got: list[tuple[int, str]] = []
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta", 3)
        session_id = client.session_id
        await client.vanish()
        got += [(event.sequence, str(event)) for event in client.record]
    while not any("response_done" in text for _, text in got):
        resume = {"session_id": session_id, "resume_from_sequence": got[-1][0]}
        async with rig.client(**resume) as client:
            # Whatever comes next: the last text may have come already.
            await eventually(lambda client=client: bool(client.record))
            await asyncio.sleep(0.05)
            await client.vanish()
            assert client.events[0].started.resumed
            got += [(event.sequence, str(event)) for event in client.record]
    sequences = [sequence for sequence, _ in got]
    assert sequences == list(range(1, len(sequences) + 1))
    async with rig.client(session_id=session_id, resume_from_sequence=1) as client:
        await client.until("response_done")
        assert client.text() == text
        assert client.record[0].sequence == 2


async def test_an_answer_goes_on_while_nobody_is_attached(rig) -> None:
    rig.peers.router.say("one two three", token_s=0.05)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
        session_id, last = client.session_id, client.record[-1].sequence
    await asyncio.sleep(0.3)
    async with rig.client(session_id=session_id, resume_from_sequence=last) as back:
        done = (await back.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert client.text() + back.text() == "one two three"


async def test_without_a_sequence_only_what_is_new_comes(rig) -> None:
    async with rig.client() as client:
        await client.say("hello")
        await client.until("response_done")
    async with rig.client(session_id=client.session_id) as client:
        await client.say("again")
        await client.finish()
    assert [said.text for said in client.of("input_committed")] == ["again"]


async def test_resuming_past_the_end_is_refused(rig) -> None:
    async with rig.client() as client:
        await client.until("started")
    async with rig.client(session_id=client.session_id, resume_from_sequence=99) as client:
        with pytest.raises(ResumeOutOfRangeError):
            await client.until("started")
    async with rig.client(session_id="ses_nobody") as client:
        with pytest.raises(SessionNotFoundError):
            await client.until("started")


async def test_a_second_stream_takes_the_session_over(rig) -> None:
    async with rig.client() as first:
        await first.until("started")
        async with rig.client(session_id=first.session_id) as second:
            await second.until("started")
            with pytest.raises(EnsembleError) as caught:
                await first.until("response_done")
            assert caught.value.reason == "SESSION_TAKEN_OVER"
            await second.say("hello")
            await second.finish()
        assert second.text() == "I am fine."


async def test_speech_that_was_not_heard_is_sent_again(rig) -> None:
    rig.peers.router.say(" ".join(f"w{n}" for n in range(12)))
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.until("response_audio_delta", 15)
        last = client.record[-1].sequence
        response = client.of("response_started")[0].response_id
        await client.vanish()
    first = {frame.offset_samples for frame in client.of("response_audio_delta")}
    await asyncio.sleep(0.1)
    async with rig.client(
        session_id=client.session_id,
        resume_from_sequence=last,
        playback={"response_id": response, "played_samples": 10 * FRAME},
    ) as back:
        await back.until("response_done")
    again = [frame.offset_samples for frame in back.of("response_audio_delta")]
    assert again == [n * FRAME for n in range(10, 60)]
    assert first | set(again) == {n * FRAME for n in range(60)}


async def test_a_client_that_vanishes_mid_word_can_finish_it(rig) -> None:
    rig.peers.stt.transcripts.append("hello there")
    async with rig.client(config=voice_config()) as client:
        offset = await client.speak(0.3, 0)
        await client.until("speech_started")
        await client.vanish()
    async with rig.client(session_id=client.session_id) as back:
        started = (await back.until("started")).started
        assert started.input.samples == 0
        # It sends again what was not accepted, then goes on.
        await back.speak(0.3, 0)
        offset = await back.speak(0.2, offset)
        await back.speak(0.4, offset, loud=False)
        await back.finish()
    assert [said.text for said in back.of("input_committed")] == ["hello there"]
    assert rig.peers.stt.opened == 1
    assert len(rig.peers.stt.heard[0]) == int(0.9 * RATE) * 2


async def test_a_slow_client_costs_no_memory_and_misses_nothing(rig) -> None:
    long = "x" * 2000
    rig.peers.router.default = Reply([long] * 200)
    async with rig.client() as client:
        await client.until("started")
        client.reading.clear()
        gc.collect()
        tracemalloc.start()
        for number in range(5):
            await client.say("more", item=number + 1)
            await eventually(lambda n=number: rig.peers.router.finished == n + 1)
        await asyncio.sleep(0.1)
        gc.collect()
        held = sum(
            trace.size
            for trace in tracemalloc.take_snapshot()
            .filter_traces([tracemalloc.Filter(True, "*/orchestrator/outbox.py")])
            .statistics("filename")
        )
        tracemalloc.stop()
        assert held < 1_000_000
        client.reading.set()
        await client.until("response_done", 5)
    sequences = [event.sequence for event in client.record]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_credit_holds_events_back(rig) -> None:
    async with rig.client() as client:
        await client.send(credit={"events": 2})
        await client.until("started")
        await client.say("hello")
        await asyncio.sleep(0.2)
        assert len(client.events) == 3
        await client.send(credit={"events": 100})
        await client.finish()
    assert client.of("response_done")


async def test_a_client_that_stops_its_heartbeat_counts_as_gone(rig) -> None:
    async with rig.client() as client:
        await client.send(heartbeat={})
        with pytest.raises(EnsembleError) as caught:
            await client.until("response_done")
    assert caught.value.reason == "PEER_LOST"


async def test_everything_is_there_after_a_restart(rig) -> None:
    rig.peers.router.say("Hello Ada.")
    history = [{"role": "HISTORY_ROLE_USER", "text": "I am Ada"}]
    async with rig.client(history=history, config={"language": "en"}) as client:
        await client.say("hello")
        await client.finish()
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
        assert [str(event) for event in back.record[1:]] == [
            str(event) for event in client.record[1:]
        ]
        assert back.events[0].started.session.turn_count == 1
        await back.say("who am I")
        await back.finish()
    asked = [message.text for message in rig.peers.router.starts[-1].messages]
    assert asked == ["I am Ada", "hello", "Hello Ada.", "who am I"]


async def test_draining_says_so_and_refuses_new_streams(rig) -> None:
    async with rig.client() as client:
        await client.until("started")
        await rig.service.drain()
        going = (await client.until("going_away")).going_away
        assert going.HasField("deadline")
        async with asyncio.timeout(5):
            await client.ended.wait()
        assert client.error is None
    async with rig.client() as late:
        with pytest.raises(EnsembleError) as caught:
            await late.until("started")
    assert caught.value.reason == "DRAINING"


async def test_a_full_disk_is_a_typed_error_and_the_service_lives(rig) -> None:
    rig.peers.router.default = Reply(["x" * 4000] * 3000, token_s=0.002)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with rig.client() as client:
        await client.say("hello")
        await client.until("response_text_delta")
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
        try:
            with pytest.raises(EnsembleError) as caught:
                await client.until("response_done")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.reason == "STORAGE_FULL"
    assert caught.value.retryable
    last = client.record[-1].sequence
    rig.peers.router.default = Reply(["fine"])
    async with rig.client(session_id=client.session_id, resume_from_sequence=last) as back:
        await back.say("again", item=2)
        await back.finish()
    dones = back.of("response_done")
    assert dones[0].stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    assert back.text(dones[1].response_id) == "fine"
    answer = await rig.stub.HandleTurn(orchestrator_service_pb2.HandleTurnRequest(text="hello"))
    assert answer.text == "fine"


async def test_sessions_that_nobody_uses_leave_memory_and_come_back(peers, tmp_path) -> None:
    rig = Rig(peers, OrchestratorSettings(log=tmp_path / "l.db", sessions_in_memory=3))
    await rig.start()
    answers = [
        await rig.stub.HandleTurn(orchestrator_service_pb2.HandleTurnRequest(text=f"hello {n}"))
        for n in range(8)
    ]
    assert len(list(rig.service._sessions.live)) <= 4
    again = await rig.stub.HandleTurn(
        orchestrator_service_pb2.HandleTurnRequest(session_id=answers[0].session_id, text="again")
    )
    assert again.text
    asked = [message.text for message in peers.router.starts[-1].messages]
    assert asked == ["hello 0", answers[0].text, "again"]
    await rig.stop()


async def test_streams_that_are_cut_off_leave_nothing_behind(rig) -> None:
    rig.peers.router.default = Reply([" x"] * 50, token_s=0.001)
    await eventually(lambda: rig.peers.world.watches == 2)
    await asyncio.sleep(0.05)
    before = len(asyncio.all_tasks())
    for number in range(40):
        async with rig.client(config=voice_config()) as client:
            await client.say("hello")
            if number % 2:
                await client.speak(0.04, 0)
            await asyncio.sleep(0.001 * (number % 7))
    for live in rig.service._sessions.live:
        live.session.interrupt(common_pb2.STOP_REASON_INTERRUPTED)
        await live.inputs.close()
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
