"""Spoken turns: speech in, speech out, barge-in and what was heard."""

import asyncio
import time

import pytest
from orchestrator_rig import RATE, audio_out, eventually, voice_config

from ensemble.core.errors import EngineFailedError
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.testkit.scripted.stt import REJECTED
from ensemble.v1 import common_pb2, session_pb2, stt_service_pb2, tts_service_pb2

pytestmark = pytest.mark.unit

FRAME = RATE // 50


async def test_a_spoken_turn_is_answered_with_speech(rig) -> None:
    rig.peers.stt.transcripts.append("turn on the light")
    rig.peers.router.say("It is on.")
    async with rig.client(config=voice_config(interim_results=True)) as client:
        offset = await client.speak(0.5, 0)
        await client.speak(0.4, offset, loud=False)
        await client.finish()
    (committed,) = client.of("input_committed")
    assert (committed.text, committed.spoken) == ("turn on the light", True)
    assert committed.accepted.samples >= offset
    assert client.of("speech_started")[0].offset_samples == 0
    assert client.of("speech_ended")[0].offset_samples == offset
    assert client.of("transcript_delta")[0].text == "turn"
    frames = client.of("response_audio_delta")
    assert [frame.offset_samples for frame in frames] == [n * FRAME for n in range(15)]
    assert [(f.span.start, f.span.end) for f in frames[::5]] == [(0, 2), (3, 5), (6, 9)]
    assert frames[0].granularity == tts_service_pb2.SPAN_GRANULARITY_WORD
    assert client.of("response_audio_done")[0].total_samples == 15 * FRAME
    (done,) = client.of("response_done")
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert done.heard.end == len("It is on.")
    kinds = client.kinds()
    assert kinds.index("response_audio_done") < kinds.index("response_done")
    assert rig.peers.tts.texts == ["It is on."]
    assert rig.peers.stt.starts[0].format.sample_rate_hertz == RATE


async def test_speech_leads_a_client_that_never_reports_by_the_lead(rig) -> None:
    rig.peers.router.say("one two three four five six seven eight")  # 0.8 s of speech
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        began = time.monotonic()
        await client.say("count")
        await client.until("response_audio_delta", 40)
        took = time.monotonic() - began
        await client.until("response_done")
    # 0.8 s of speech less the lead of 0.4 s; a slow machine only makes it longer.
    assert took > 0.37


async def test_speech_follows_the_reports_of_a_client(rig) -> None:
    rig.peers.router.say("one two three four five six seven eight")
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        response = (await client.until("response_audio_delta")).response_audio_delta.response_id
        await client.send(playback_report={"response_id": response, "played_samples": 1})
        await client.until("response_audio_delta", 20)
        await asyncio.sleep(0.2)
        sent = client.of("response_audio_delta")[-1].offset_samples + FRAME
        assert sent <= 0.4 * RATE + 2 * FRAME
        played = int(0.4 * RATE)
        await client.send(playback_report={"response_id": response, "played_samples": played})
        await client.until("response_audio_done")
        await client.send(playback_report={"response_id": response, "played_samples": 40 * FRAME})
        await client.until("response_done")


async def test_speaking_over_the_answer_stops_it_and_keeps_what_was_heard(rig) -> None:
    rig.peers.stt.transcripts.append("stop")
    more = " ".join(f"w{n}" for n in range(40))
    rig.peers.router.say(f"one two three four five six seven eight nine ten {more}")
    rig.peers.router.say("ok")
    async with rig.client(config=voice_config()) as client:
        await client.say("count")
        event = await client.until("response_audio_delta", 18)
        response = event.response_audio_delta.response_id
        await client.speak(0.02, 0)
        began = time.monotonic()
        await client.until("playback_flush")
        assert time.monotonic() - began < 0.5
        await client.send(playback_report={"response_id": response, "played_samples": 13 * FRAME})
        done = (await client.until("response_done")).response_done
        assert done.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
        # Thirteen frames: two words and more than half of the third.
        assert done.heard.end == len("one two three")
        frames = len(client.of("response_audio_delta"))
        await client.speak(0.4, FRAME, loud=False)
        await client.finish()
    first = [f for f in client.of("response_audio_delta") if f.response_id == response]
    assert len(first) == frames
    messages = rig.peers.router.starts[1].messages
    assert [message.text for message in messages] == ["count", "one two three", "stop"]
    assert rig.peers.tts.cancelled == 1


async def test_an_interrupted_client_that_does_not_report_heard_what_it_could(rig) -> None:
    rig.peers.router.say(" ".join(f"w{n}" for n in range(40)))
    async with rig.client(config=voice_config()) as client:
        await client.say("count")
        await client.until("response_audio_delta", 30)
        sent = len(client.of("response_audio_delta")) * 0.02
        began = time.monotonic()
        await client.speak(0.02, 0)
        done = (await client.until("response_done")).response_done
        assert 0.15 < time.monotonic() - began < 2
    words_sent = int(sent / 0.1) + 2
    text = client.text()[: done.heard.end]
    assert 0 < len(text.split()) <= words_sent
    assert text == " ".join(f"w{n}" for n in range(len(text.split())))


async def test_a_clause_counts_as_far_as_it_was_played(rig) -> None:
    rig.peers.tts.granularity = tts_service_pb2.SPAN_GRANULARITY_CLAUSE
    rig.peers.tts.frames_a_word = 10
    rig.peers.router.say("one two three four five six")
    async with rig.client(config=voice_config()) as client:
        await client.say("count")
        event = await client.until("response_audio_delta", 18)
        response = event.response_audio_delta.response_id
        await client.send(response_cancel={})
        await client.until("playback_flush")
        await client.send(playback_report={"response_id": response, "played_samples": 15 * FRAME})
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert client.text()[: done.heard.end] == "one"


async def test_speech_that_is_not_understood_is_answered_with_an_apology(rig) -> None:
    rig.peers.stt.transcripts.append(REJECTED)
    async with rig.client(config=voice_config()) as client:
        offset = await client.speak(0.3, 0)
        await client.speak(0.3, offset, loud=False)
        await client.finish()
    (committed,) = client.of("input_committed")
    assert (committed.text, committed.rejected) == ("", True)
    assert client.text() == OrchestratorSettings().apology
    assert client.of("response_done")[0].outcome == common_pb2.OUTCOME_DECLINED
    assert client.of("response_model") == []
    assert rig.peers.router.starts == []
    assert client.of("response_audio_done")


async def test_noise_without_words_is_no_turn(rig) -> None:
    async with rig.client(config=voice_config()) as client:
        offset = await client.speak(0.3, 0)
        offset = await client.speak(0.3, offset, loud=False)
        accepted = (await client.until("input_accepted")).input_accepted
        await client.finish()
    assert accepted.samples >= 0.3 * RATE
    assert client.of("input_committed") == []


async def test_text_goes_on_when_speech_fails(rig) -> None:
    rig.peers.tts.fail_after = 3
    rig.peers.tts.error = EngineFailedError()
    rig.peers.router.say("It is on.")
    rig.peers.router.say("Still here.")
    async with rig.client(config=session_pb2.SessionConfig(output_audio=audio_out())) as client:
        await client.say("light")
        await client.until("response_done")
        rig.peers.tts.fail_after = None
        await client.say("hello")
        await client.finish()
    assert len(client.of("error")) == 1
    first, second = client.of("response_done")
    assert first.stop_reason == second.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert client.of("response_text_done")[0].text == "It is on."
    assert len(client.of("response_audio_delta")) == 3 + 10


async def test_a_recogniser_that_fails_hears_it_again(rig) -> None:
    rig.peers.stt.transcripts.append("hello")
    rig.peers.stt.fail_at = FRAME * 10
    rig.peers.stt.error = EngineFailedError()
    async with rig.client(config=voice_config()) as client:
        offset = await client.speak(0.4, 0)
        await client.until("error")
        await client.speak(0.4, offset, loud=False)
        await client.finish()
    assert [said.text for said in client.of("input_committed")] == ["hello"]
    assert rig.peers.stt.opened == 2
    whole = b"\x10\x20" * int(0.4 * RATE)
    assert bytes(rig.peers.stt.heard[1]).startswith(whole)


async def test_a_recogniser_that_never_comes_is_said_and_the_session_lives(rig) -> None:
    rig.peers.stt.refuse = 1000
    rig.peers.stt.error = EngineFailedError()
    rig.peers.router.say("I read you.")
    async with rig.client(config=voice_config()) as client:
        await client.speak(0.1, 0)
        await client.until("error")
        await client.say("hello")
        await client.until("response_done")
    assert client.text() == "I read you."


async def test_repeated_audio_is_dropped_and_a_gap_is_an_error(rig) -> None:
    rig.peers.stt.transcripts.append("hello")
    async with rig.client(config=voice_config()) as client:
        await client.speak(0.1, 0)
        offset = await client.speak(0.2, 0)
        await client.speak(0.1, offset + 5 * FRAME)
        error = (await client.until("error")).error
        assert "INVALID_AUDIO" in str(error)
        offset = await client.speak(0.1, offset)
        await client.speak(0.3, offset, loud=False)
        await client.finish()
    assert len(rig.peers.stt.heard[0]) == int(0.6 * RATE) * 2
    assert [said.text for said in client.of("input_committed")] == ["hello"]


async def test_half_a_sample_is_an_error(rig) -> None:
    async with rig.client(config=voice_config()) as client:
        await client.send(input_audio={"data": b"\x01\x02\x03", "offset_samples": 0})
        assert "INVALID_AUDIO" in str((await client.until("error")).error)


async def test_audio_to_a_session_without_ears_is_an_error(rig) -> None:
    async with rig.client() as client:
        await client.send(input_audio={"data": b"\x01\x02", "offset_samples": 0})
        assert "UNEXPECTED_MESSAGE" in str((await client.until("error")).error)


@pytest.mark.parametrize(
    "audio",
    [
        {"encoding": 1, "sample_rate_hertz": 4000, "channel_count": 1},
        {"encoding": 1, "sample_rate_hertz": 16000, "channel_count": 0},
        {"encoding": 0, "sample_rate_hertz": 16000, "channel_count": 1},
    ],
)
async def test_audio_that_cannot_be_read_is_refused(rig, audio) -> None:
    async with rig.client(config={"input_audio": audio}) as client:
        with pytest.raises(Exception, match=r"[Aa]udio") as caught:
            await client.until("started")
    assert getattr(caught.value, "reason", "") == "UNSUPPORTED_AUDIO_FORMAT"


async def test_manual_turns_end_where_the_client_says(rig) -> None:
    rig.peers.stt.transcripts.extend(["hello", "again"])
    manual = stt_service_pb2.TURN_DETECTION_MANUAL
    async with rig.client(config=voice_config(turn_detection=manual)) as client:
        offset = await client.speak(0.3, 0)
        offset = await client.speak(0.5, offset, loud=False)
        assert client.of("input_committed") == []
        await client.send(input_end={})
        await client.until("response_done")
        offset = await client.speak(0.3, offset)
        await client.send(input_clear={})
        await asyncio.sleep(0.05)
        await client.send(input_end={})
        offset = await client.speak(0.2, offset)
        await client.send(input_end={})
        await client.finish()
    assert [said.text for said in client.of("input_committed")] == ["hello", "again"]


async def test_long_speech_is_taken_as_it_is(peers, tmp_path) -> None:
    from orchestrator_rig import Rig

    peers.stt.transcripts.extend(["part one", "part two"])
    rig = Rig(peers, OrchestratorSettings(log=tmp_path / "l.db", speech_limit_s=0.5))
    await rig.start()
    async with rig.client(config=voice_config(manual_response=True)) as client:
        await client.speak(0.8, 0)
        await client.until("input_committed")
        await client.finish()
    assert client.of("input_committed")[0].text == "part one"
    await rig.stop()


async def test_long_silence_is_accepted_without_a_turn(rig) -> None:
    config = voice_config()
    async with rig.client(config=config) as client:
        data = b"\x00\x00" * RATE
        for second in range(9):
            await client.send(input_audio={"data": data, "offset_samples": second * RATE})
        accepted = (await client.until("input_accepted")).input_accepted
        assert 5 * RATE <= accepted.samples <= 9 * RATE
        session_id = client.session_id
    await rig.restart()
    async with rig.client(session_id=session_id) as client:
        started = (await client.until("started")).started
        assert started.input.samples == accepted.samples


async def test_a_session_that_only_reads_is_not_interrupted_by_speech(rig) -> None:
    rig.peers.router.say("one two three four five", token_s=0.05)
    config = session_pb2.SessionConfig(input_audio=audio_out())
    async with rig.client(config=config) as client:
        await client.say("count")
        await client.until("response_text_delta")
        await client.speak(0.1, 0)
        await client.until("speech_started")
        await client.finish()
    assert client.of("response_done")[0].stop_reason == common_pb2.STOP_REASON_COMPLETED
    await eventually(lambda: rig.peers.router.finished == 1)


async def test_a_wav_stream_is_passed_on_as_it_is(rig) -> None:
    rig.peers.stt.transcripts.append("hello")
    config = session_pb2.SessionConfig(input_audio={"encoding": 2})
    async with rig.client(config=config) as client:
        for part in (b"RIFF\x01", b"\x02\x03", b"\x04" * 99):
            await client.send(input_audio={"data": part})
        await client.finish()
    assert bytes(rig.peers.stt.heard[0]) == b"RIFF\x01\x02\x03" + b"\x04" * 99
    assert client.of("input_committed")[0].text == "hello"
