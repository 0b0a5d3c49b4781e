"""The state machine of Recognize, as the contract's comments say it."""

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest

from ensemble.core.errors import EnsembleError
from ensemble.testkit.fixtures.recognition_caller import Serve, kinds, transcripts
from ensemble.testkit.fixtures.scripted_recognizer import LoudnessDetection, ScriptedRecognizer
from ensemble.transport.status import from_rpc_error, from_status
from ensemble.v1 import common_pb2, stt_service_pb2

pytestmark = pytest.mark.contract

MANUAL = stt_service_pb2.TURN_DETECTION_MANUAL


def _speech(loud: Any, quiet: Any, *gaps: float) -> Any:
    parts = [quiet(0.5)]
    for gap in gaps:
        parts += [loud(0.6), quiet(gap)]
    return np.concatenate(parts)


async def _ends_with(call: Any) -> EnsembleError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(10):
            async for _ in call:
                pass
    return from_rpc_error(caught.value)


async def test_utterance_by_utterance(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(("first thing", "second")), LoudnessDetection())
    caller = served.caller(interim_results=True)
    heard = await caller.hear(_speech(loud, quiet, 1.0, 1.0))
    assert kinds([caller.seen[0]]) == ["started"]
    assert caller.seen[0].started.engine == "scripted"
    assert caller.seen[0].started.vad == "loudness"
    assert caller.seen[0].caused_by_event_id == "start-1"
    one = ["speech_started", "transcript_delta", "speech_ended", "transcript_done"]
    assert kinds(heard) == [*one, *one, "done"]
    assert [done.text for done in transcripts(heard)] == ["first thing", "second"]
    assert [r.sequence for r in caller.seen] == list(range(1, len(caller.seen) + 1))
    done = heard[-1].done
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert done.samples_read == 3.7 * 16_000
    assert done.usage.audio_input.ToMilliseconds() == 3700


async def test_positions_are_samples_of_the_input(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    stereo = np.repeat(np.concatenate([quiet(1, 48_000), loud(1, 48_000), quiet(1, 48_000)]), 2)
    caller = served.caller(
        format=common_pb2.AudioFormat(
            encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=48_000,
            channel_count=2,
        )
    )
    heard = await caller.hear(stereo, chunk=4801)
    started, ended = heard[0].speech_started, heard[1].speech_ended
    frame = 0.032 * 48_000
    assert abs(started.offset_samples - 48_000) <= frame
    assert abs(ended.offset_samples - 96_000) <= frame
    (done,) = transcripts(heard)
    assert done.start_samples <= started.offset_samples
    assert ended.offset_samples <= done.end_samples <= 144_000
    assert all(done.start_samples <= word.start_samples for word in done.words)
    assert heard[-1].done.samples_read == 144_000


async def test_no_deltas_unless_asked(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    heard = await served.caller().hear(_speech(loud, quiet, 1.0))
    assert kinds(heard) == ["speech_started", "speech_ended", "transcript_done", "done"]


async def test_half_close_finishes_what_was_heard(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    heard = await served.caller().hear(_speech(loud, quiet, 0.0))
    assert kinds(heard) == ["speech_started", "speech_ended", "transcript_done", "done"]


async def test_silence_says_nothing(serve: Serve, quiet: Any) -> None:
    recognizer = ScriptedRecognizer()
    served = await serve(recognizer, LoudnessDetection())
    assert kinds(await served.caller().hear(quiet(2))) == ["done"]
    assert not recognizer.requests


async def test_manual_detection(serve: Serve, loud: Any) -> None:
    served = await serve(ScriptedRecognizer(("one", "two")), LoudnessDetection())
    caller = served.caller(turn_detection=MANUAL)
    assert (await caller.open()).started.vad == ""
    await caller.audio(loud(0.5))
    await caller.input_end("end-1")
    heard = await caller.until("transcript_done")
    assert kinds(heard) == ["speech_started", "speech_ended", "transcript_done"]
    assert heard[-1].caused_by_event_id == "end-1"
    await caller.audio(loud(0.25))
    await caller.call.done_writing()
    (second,) = transcripts(await caller.rest())
    assert (second.text, second.start_samples, second.end_samples) == ("two", 8000, 12_000)


async def test_input_end_ends_an_utterance_found_by_voice(serve: Serve, loud: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller()
    await caller.open()
    await caller.audio(loud(0.5))
    await caller.input_end()
    assert kinds(await caller.until("transcript_done"))[-1] == "transcript_done"
    await caller.call.done_writing()
    assert kinds(await caller.rest()) == ["done"]


async def test_input_clear_drops_the_utterance(serve: Serve, loud: Any) -> None:
    recognizer = ScriptedRecognizer(("one", "two"))
    served = await serve(recognizer, LoudnessDetection())
    caller = served.caller(turn_detection=MANUAL)
    await caller.open()
    await caller.audio(loud(0.5))
    await caller.input_clear()
    await caller.audio(loud(0.5))
    await caller.input_end()
    await caller.call.done_writing()
    heard = await caller.rest()
    assert [done.text for done in transcripts(heard)] == ["two"]
    assert recognizer.open_now == 0


async def test_cancel_stops_at_once_and_settles(serve: Serve, loud: Any) -> None:
    recognizer = ScriptedRecognizer(slow=0.01)
    served = await serve(recognizer, LoudnessDetection())
    caller = served.caller(turn_detection=MANUAL)
    await caller.open()
    await caller.audio(loud(1))
    await caller.cancel("cancel-1")
    heard = await caller.rest()
    assert heard[-1].done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert heard[-1].caused_by_event_id == "cancel-1"
    assert not transcripts(heard)


async def test_credit_holds_events_back(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.audio(_speech(loud, quiet, 1.0))
    await caller.call.done_writing()
    assert kinds([await caller.read()]) == ["speech_started"]
    assert kinds([await caller.read(heartbeats=True)]) == ["heartbeat"]


async def test_more_credit_lets_them_go(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.audio(_speech(loud, quiet, 1.0))
    await caller.credit(2)
    heard = await caller.until("transcript_done")
    assert kinds(heard) == ["speech_started", "speech_ended", "transcript_done"]
    await caller.call.done_writing()
    assert kinds(await caller.rest()) == ["done"]


async def test_cancel_gets_through_without_credit(serve: Serve, loud: Any, quiet: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.audio(_speech(loud, quiet, 1.0))
    assert kinds([await caller.read()]) == ["speech_started"]
    await caller.cancel()
    assert kinds(await caller.rest()) == ["done"]


async def test_idle_streams_get_heartbeats(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller()
    await caller.open()
    beat = await caller.read(heartbeats=True)
    assert kinds([beat]) == ["heartbeat"]
    assert beat.sequence == 0


async def test_a_caller_that_stops_beating_is_lost(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller()
    await caller.open()
    await caller.heartbeat()
    assert (await _ends_with(caller.call)).reason == "PEER_LOST"


@pytest.mark.parametrize("fault", ["fail_push", "fail_finish"])
async def test_an_engine_that_crashes(serve: Serve, loud: Any, quiet: Any, fault: str) -> None:
    recognizer = ScriptedRecognizer(("lost", "found"), **{fault: frozenset({0})})
    served = await serve(recognizer, LoudnessDetection())
    heard = await served.caller().hear(_speech(loud, quiet, 1.0, 1.0))
    errors = [r.error for r in heard if r.WhichOneof("event") == "error"]
    assert [from_status(error).reason for error in errors] == ["ENGINE_FAILED"]
    assert [done.text for done in transcripts(heard)] == ["found"]
    assert heard[-1].done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert recognizer.open_now == 0


async def test_a_caller_that_vanishes(serve: Serve, loud: Any) -> None:
    recognizer = ScriptedRecognizer()
    served = await serve(recognizer, LoudnessDetection())
    caller = served.caller(turn_detection=MANUAL)
    await caller.open()
    await caller.audio(loud(0.5))
    assert kinds([await caller.read()]) == ["speech_started"]
    caller.call.cancel()
    async with asyncio.timeout(10):
        while recognizer.open_now:
            await asyncio.sleep(0.01)
    assert transcripts(await served.caller().hear(loud(1)))


async def test_the_first_message_must_be_the_start(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller()
    await caller.audio(b"\0\0")
    assert (await _ends_with(caller.call)).reason == "WRONG_FIRST_MESSAGE"


async def test_a_second_start_is_refused(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller()
    await caller.open()
    await caller.send(start=stt_service_pb2.RecognizeStart(format=common_pb2.AudioFormat()))
    assert (await _ends_with(caller.call)).reason == "UNEXPECTED_MESSAGE"


@pytest.mark.parametrize(
    "wrong",
    [
        common_pb2.AudioFormat(),
        common_pb2.AudioFormat(encoding=1, sample_rate_hertz=4000, channel_count=1),
        common_pb2.AudioFormat(encoding=1, sample_rate_hertz=16_000),
    ],
)
async def test_absurd_formats_are_refused(serve: Serve, wrong: common_pb2.AudioFormat) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller(format=wrong)
    await caller.send(start=stt_service_pb2.RecognizeStart(format=wrong))
    assert (await _ends_with(caller.call)).reason == "UNSUPPORTED_AUDIO_FORMAT"


async def test_a_truncated_wav_is_an_error_after_what_was_heard(
    serve: Serve, loud: Any, quiet: Any
) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    sound = _speech(loud, quiet, 1.0).tobytes()
    header = (
        b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
        + (16_000).to_bytes(4, "little")
        + (32_000).to_bytes(4, "little")
        + b"\x02\x00\x10\x00data"
        + (len(sound) + 1000).to_bytes(4, "little")
    )
    caller = served.caller(format=common_pb2.AudioFormat(encoding=2))
    heard = await caller.hear(header + sound, chunk=777)
    assert kinds(heard)[-3:] == ["transcript_done", "error", "done"]
    assert from_status(heard[-2].error).reason == "INVALID_AUDIO"
    assert heard[-1].done.stop_reason == common_pb2.STOP_REASON_FAILED


async def test_empty_audio(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    heard = await served.caller().hear(b"")
    assert kinds(heard) == ["error", "done"]
    assert from_status(heard[0].error).reason == "INVALID_AUDIO"


async def test_a_stream_without_audio_just_ends(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    caller = served.caller()
    await caller.open()
    await caller.call.done_writing()
    assert kinds(await caller.rest()) == ["done"]


async def test_streams_are_limited(serve: Serve) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection(), max_streams=1)
    first = served.caller()
    await first.open()
    assert (await _ends_with(served.caller().call)).reason == "TOO_MANY_STREAMS"
    await first.cancel()
    await first.rest()
    async with asyncio.timeout(20):
        # The caller hears of the end a moment before the service counts the stream out.
        while True:
            try:
                heard = await served.caller().hear(b"\0\0")
                break
            except grpc.aio.AioRpcError as error:
                assert from_rpc_error(error).reason == "TOO_MANY_STREAMS"
                await asyncio.sleep(0.01)
    assert kinds(heard) == ["done"]


async def test_draining_ends_streams_between_utterances(serve: Serve, loud: Any) -> None:
    served = await serve(ScriptedRecognizer(), LoudnessDetection())
    idle, speaking = served.caller(), served.caller(turn_detection=MANUAL)
    await idle.open()
    await speaking.open()
    await speaking.audio(loud(0.5))
    assert kinds([await speaking.read()]) == ["speech_started"]
    await served.service.drain()
    assert (await idle.rest())[-1].done.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    await speaking.input_end()
    heard = await speaking.rest()
    assert kinds(heard) == ["speech_ended", "transcript_done", "done"]
    assert (await _ends_with(served.caller().call)).reason == "DRAINING"


async def test_a_long_utterance_is_cut_at_thirty_seconds(serve: Serve, loud: Any) -> None:
    served = await serve(ScriptedRecognizer(("one", "two")), LoudnessDetection())
    heard = await served.caller(turn_detection=MANUAL).hear(loud(40), chunk=320_000)
    first, second = transcripts(heard)
    assert 30 * 16_000 <= first.end_samples <= 30.1 * 16_000
    assert second.end_samples == 40 * 16_000
