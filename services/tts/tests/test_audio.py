"""Framing."""

import numpy as np
import pytest

from ensemble.tts.clauses import Clause
from ensemble.tts.frames import Framer
from ensemble.tts.ports import Granularity, WordMark

pytestmark = pytest.mark.unit


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


@pytest.mark.parametrize("target", [8_000, 16_000, 48_000])
def test_frames_at_another_rate_hold_the_same_sound(target: int) -> None:
    time = np.arange(22_050) / 22_050
    sound = (30_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    framer = Framer(Clause("hm", 0), Granularity.CLAUSE, 22_050, target)
    frames = framer.push(sound[:9_000], ()) + framer.push(sound[9_000:], ()) + framer.finish()
    made = np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2")
    assert len(made) == target
    expected = 30_000 * np.sin(2 * np.pi * 440 * np.arange(target) / target)
    assert np.abs(made - expected)[200:-200].max() < 30


def test_sound_at_full_scale_does_not_wrap_around() -> None:
    square = np.where(np.arange(2_000) // 40 % 2, 32_767, -32_768).astype(np.int16)
    framer = Framer(Clause("hm", 0), Granularity.CLAUSE, 22_050, 16_000)
    frames = framer.push(square, ()) + framer.finish()
    made = np.frombuffer(b"".join(frame.pcm for frame in frames), "<i2").astype(int)
    # A wrapped sample would jump across the whole range and back.
    assert np.abs(np.diff(made, 2)).max() < 70_000


def test_a_clause_without_audio_has_no_frames() -> None:
    framer = Framer(Clause("hm", 0), Granularity.WORD, 22_050, 16_000)
    assert framer.push(np.zeros(0, np.int16), ()) == []
    assert framer.finish() == []
