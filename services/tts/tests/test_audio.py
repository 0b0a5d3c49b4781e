"""Resampling and framing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.tts.clauses import Clause
from ensemble.tts.frames import Framer
from ensemble.tts.ports import Granularity, Samples, WordMark
from ensemble.tts.resampler import Resampler

pytestmark = pytest.mark.unit


def tone(hertz: float, rate: int, seconds: float = 0.5) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    result: Samples = (10_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    return result


def resample(samples: Samples, source: int, target: int, step: int) -> NDArray[np.int16]:
    resampler = Resampler(source, target)
    parts = [resampler.push(samples[at : at + step]) for at in range(0, len(samples), step)]
    return np.concatenate([*parts, resampler.finish()])


@pytest.mark.parametrize("target", [8_000, 16_000, 24_000, 44_100, 48_000, 44_101])
def test_a_tone_stays_the_same_tone(target: int) -> None:
    made = resample(tone(440, 22_050), 22_050, target, 1323)
    assert len(made) == pytest.approx(target / 2, abs=1)
    expected = tone(440, target)[: len(made)]
    middle = slice(200, len(expected) - 200)
    error = np.abs(made[middle].astype(int) - expected[middle]).max()
    assert error < 30


def test_chunks_leave_no_seam() -> None:
    samples = np.random.default_rng(1).integers(-9000, 9000, 5000).astype(np.int16)
    whole = resample(samples, 22_050, 16_000, 5000)
    for step in (1, 7, 320, 1324):
        assert np.array_equal(resample(samples, 22_050, 16_000, step), whole)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    made = resample(tone(6_000, 22_050), 22_050, 8_000, 1000)
    assert np.abs(made[100:-100]).max() < 30


def test_the_same_rate_changes_nothing() -> None:
    samples = tone(300, 16_000)
    assert np.array_equal(resample(samples, 16_000, 16_000, 999), samples)


def test_frames_say_which_words_they_hold() -> None:
    clause = Clause("  One two, three!", 100)
    framer = Framer(clause, Granularity.WORD, 16_000, 16_000)
    marks = [WordMark(0, 2), WordMark(480, 6), WordMark(960, 11)]
    frames = framer.push(np.ones(1000, np.int16), marks)
    frames += framer.push(np.ones(300, np.int16), ())
    frames += framer.finish()

    assert [frame.sample_count for frame in frames] == [320, 320, 320, 320, 20]
    assert [(f.start, f.end) for f in frames] == [
        (100, 106),
        (100, 111),
        (106, 111),
        (111, 117),
        (111, 117),
    ]


def test_a_rate_that_is_no_multiple_of_50_keeps_time() -> None:
    framer = Framer(Clause("word", 0), Granularity.CLAUSE, 11_025, 11_025)
    frames = framer.push(np.zeros(11_025, np.int16), ()) + framer.finish()
    assert len(frames) == 50
    assert {frame.sample_count for frame in frames} == {220, 221}
    assert sum(frame.sample_count for frame in frames) == 11_025


def test_odd_word_marks_do_no_harm() -> None:
    clause = Clause("one two three", 0)
    framer = Framer(clause, Granularity.WORD, 16_000, 16_000)
    marks = [WordMark(500, 8), WordMark(100, 4), WordMark(700, 99), WordMark(800, -5)]
    frames = framer.push(np.zeros(2000, np.int16), marks) + framer.finish()
    assert frames[-1].end == len(clause.text)
    assert all(0 <= frame.start < frame.end <= len(clause.text) for frame in frames)
    assert [frame.end for frame in frames] == sorted(frame.end for frame in frames)


def test_a_clause_without_audio_has_no_frames() -> None:
    framer = Framer(Clause("hm", 0), Granularity.WORD, 22_050, 16_000)
    assert framer.push(np.zeros(0, np.int16), ()) == []
    assert framer.finish() == []
