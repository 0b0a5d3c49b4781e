"""A whole synthesis with the real engine, over the wire."""

import asyncio
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.testkit.fixtures.synthesis_caller import (
    Response,
    Serve,
    frames,
    kinds,
    samples,
)
from ensemble.v1 import common_pb2, tts_service_pb2

pytestmark = pytest.mark.contract


def alike(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    """Whether two takes may be of the same text and voice; no two takes are equal."""
    loudness = np.std(one.astype(float)) / np.std(other.astype(float))
    return abs(len(one) / len(other) - 1) < 0.02 and abs(loudness - 1) < 0.1


def clauses(responses: list[Response]) -> list[tuple[int, int]]:
    done = [r.clause_done.span for r in responses if r.HasField("clause_done")]
    return [(span.start, span.end) for span in done]


TEXT = "Turn on the kitchen light, please, and then the lamp. It costs $3.50, doesn't it? Good."


async def test_speech_comes_as_frames_of_20_ms_with_offsets(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    caller = served.caller()
    started = (await caller.open()).started
    await caller.text(TEXT)
    await caller.call.done_writing()
    responses = await caller.rest()

    assert started.engine == "espeak-ng"
    assert started.voice == "en-us"
    assert started.format.sample_rate_hertz == 22_050
    assert started.format.encoding == common_pb2.AUDIO_ENCODING_PCM_S16LE
    assert started.granularity == tts_service_pb2.SPAN_GRANULARITY_WORD
    offset = 0
    for before, response in itertools.pairwise(responses):
        if before.WhichOneof("event") != "audio":
            continue
        assert before.audio.offset_samples == offset
        length = len(before.audio.pcm) // 2
        offset += length
        if response.WhichOneof("event") == "audio":
            assert length == 441
        else:
            assert 0 < length <= 441
    done = responses[-1].done
    assert done.samples_sent == offset
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    length = done.usage.audio_output.ToNanoseconds() / 1e9
    assert length == pytest.approx(offset / 22_050, abs=1e-6)


async def test_spans_rise_and_cover_the_text(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    responses = await served.caller().say(TEXT)

    end = 0
    for frame in frames(responses):
        assert frame.span.start <= end <= frame.span.end or frame.span.start < end
        assert frame.span.start < frame.span.end
        end = frame.span.end
    assert end == len(TEXT)
    assert "".join(TEXT[start:end] for start, end in clauses(responses)) == TEXT
    assert len(clauses(responses)) >= 3
    # The price is said while its frames say that it is.
    price = [f for f in frames(responses) if "$3.50" in TEXT[f.span.start : f.span.end]]
    assert 0.5 < len(price) * 0.02 < 4


async def test_how_the_text_arrives_changes_nothing(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    whole = await served.caller().say(TEXT)
    caller = served.caller()
    await caller.open()
    for char in TEXT:
        await caller.text(char)
    await caller.input_end()
    split = await caller.rest()

    ends = [
        [r.clause_done.span for r in one if r.HasField("clause_done")] for one in (whole, split)
    ]
    assert ends[0] == ends[1]
    assert alike(samples(split), samples(whole))


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
async def test_any_sample_rate_gives_the_same_speech(serve: Serve, rate: int) -> None:
    served = await serve(engine="espeak-ng")
    own = await served.caller().say("What time is it?")
    other = await served.caller(sample_rate_hertz=rate).say("What time is it?")

    assert len(samples(other)) / rate == pytest.approx(len(samples(own)) / 22_050, rel=0.02)
    loudness = np.std(samples(other).astype(float))
    assert loudness > 500
    assert {len(f.pcm) // 2 for f in frames(other)[:-1]} == {rate // 50}


async def test_speech_is_not_silent_and_lasts_as_long_as_speech_does(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    responses = await served.caller(sample_rate_hertz=16_000).say("Turn on the kitchen light.")

    audio = samples(responses).astype(float)
    assert 0.8 < len(audio) / 16_000 < 3
    loud = np.abs(audio.reshape(-1)[: len(audio) // 320 * 320].reshape(-1, 320)).max(axis=1) > 500
    assert loud.mean() > 0.5


async def test_speed_shortens_the_speech(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    normal = await served.caller().say("The kitchen light is on now.")
    fast = await served.caller(rate=2.0).say("The kitchen light is on now.")
    slow = await served.caller(rate=0.5).say("The kitchen light is on now.")

    assert len(samples(fast)) < 0.7 * len(samples(normal))
    assert len(samples(slow)) > 1.5 * len(samples(normal))


@pytest.mark.parametrize(
    "text", ["", "   ", "😀", "😀 👍🏽!", "...", "—", "\n\n", "***", "\u0000\u0007"]
)
async def test_what_cannot_be_said_is_no_error(serve: Serve, text: str) -> None:
    served = await serve(engine="espeak-ng")
    responses = await served.caller().say(text)

    assert not samples(responses).size
    assert "error" not in kinds(responses)
    assert responses[-1].done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert "".join(text[start:end] for start, end in clauses(responses)) == text


async def test_emoji_are_left_out_of_speech_and_counted_in_spans(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    with_emoji = await served.caller().say("Good 😀 morning")
    without = await served.caller().say("Good   morning")

    assert alike(samples(with_emoji), samples(without))
    assert frames(with_emoji)[-1].span.end == len("Good 😀 morning")


async def test_flush_speaks_what_is_there(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    caller = served.caller()
    await caller.open()
    await caller.text("Let me se")
    await caller.flush()
    first = await caller.until("clause_done")
    await caller.text("e now.")
    await caller.input_end("the-end")
    rest = await caller.rest()

    assert samples(first).size
    assert (first[-1].clause_done.span.start, first[-1].clause_done.span.end) == (0, 9)
    assert rest[-2].clause_done.span.end == 15
    assert rest[-1].caused_by_event_id == "the-end"


async def test_events_are_numbered_and_heartbeats_are_not(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    caller = served.caller()
    await caller.open()
    assert (await caller.read(heartbeats=True)).WhichOneof("event") == "heartbeat"
    await caller.text("Hello there.")
    await caller.call.done_writing()
    await caller.rest()

    beats = [r for r in caller.seen if r.WhichOneof("event") == "heartbeat"]
    assert {beat.sequence for beat in beats} == {0}
    numbered = [r for r in caller.seen if r not in beats]
    assert [r.sequence for r in numbered] == list(range(1, len(numbered) + 1))
    assert len({r.event_id for r in numbered}) == len(numbered)


async def test_voices_and_languages_at_once_do_not_mix(serve: Serve) -> None:
    served = await serve(engine="espeak-ng")
    text = "Hello, this is a somewhat longer sentence. And here is another one."
    alone = {
        v: samples(await served.caller(voice=v).say(text)) for v in ("en-us", "de", "en-gb+f3")
    }
    order = ["en-us", "de", "en-gb+f3"] * 3
    together = await asyncio.gather(*(served.caller(voice=v).say(text) for v in order))

    for voice, responses in zip(order, together, strict=True):
        assert alike(samples(responses), alone[voice])
