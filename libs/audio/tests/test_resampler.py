"""Any rate into any other, in runs of any length."""

import numpy as np
import pytest

from ensemble.audio.resampler import Resampler, Samples

pytestmark = pytest.mark.unit

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000]


def _tone(rate: int, hertz: float, seconds: float = 1.0) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    return np.sin(2 * np.pi * hertz * time).astype(np.float32)


def _resample(samples: Samples, source: int, target: int, step: int) -> Samples:
    resampler = Resampler(source, target)
    parts = [resampler.push(samples[at : at + step]) for at in range(0, len(samples), step)]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize("target", RATES)
@pytest.mark.parametrize("source", RATES)
def test_a_tone_stays_the_same_tone(source: int, target: int) -> None:
    made = _resample(_tone(source, 1_000), source, target, 1_323)
    assert len(made) == target
    error = np.abs(made - _tone(target, 1_000))
    edge = target // 100
    assert error[edge:-edge].max() < 0.0003


@pytest.mark.parametrize("target", [8_000, 16_000])
@pytest.mark.parametrize("source", [22_050, 44_100, 44_101, 48_000])
def test_what_the_new_rate_cannot_hold_is_removed(source: int, target: int) -> None:
    made = _resample(_tone(source, target * 0.6), source, target, 1_000)
    assert np.abs(made[200:-200]).max() < 0.0003


@pytest.mark.parametrize(("source", "target"), [(22_050, 16_000), (8_000, 48_000), (48_000, 8_000)])
def test_chunks_leave_no_seam(source: int, target: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 5_000).astype(np.float32)
    whole = _resample(samples, source, target, 5_000)
    for step in (1, 7, 320, 1_324):
        made = _resample(samples, source, target, step)
        np.testing.assert_allclose(made, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "target"), [(8_000, 16_000), (48_000, 16_000), (16_000, 48_000)]
)
def test_no_more_than_three_milliseconds_are_held_back(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    made = 0
    for count in range(1, 50):
        made += len(resampler.push(np.zeros(source // 50, np.float32)))
        assert made >= (count * 0.02 - 0.003) * target


def test_the_same_rate_changes_nothing() -> None:
    samples = _tone(16_000, 300)
    assert np.array_equal(_resample(samples, 16_000, 16_000, 999), samples)


def test_no_input_gives_no_output() -> None:
    resampler = Resampler(48_000, 16_000)
    assert not len(resampler.push(np.zeros(0, np.float32)))
    assert not len(resampler.flush())
