"""Speech for tuning and tests."""

from dataclasses import dataclass

import numpy as np

from ensemble.stt.ports import TARGET_RATE, Samples
from ensemble.testkit.fixtures import espeak_library
from ensemble.testkit.fixtures.speech import resampled


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice: its name, words a minute and pitch (0 to 99)."""

    name: str
    speed: int = 165
    pitch: int = 50


VOICES = (
    Voice("en-us"),
    Voice("en"),
    Voice("en-us+f3"),
    Voice("en-us+m3", 150, 40),
    Voice("en-gb-x-rp+f2", 175, 55),
    Voice("en-us+m7", 180, 45),
)


def say(text: str, voice: Voice = VOICES[0]) -> Samples:
    """Return ``text`` spoken: 16 kHz, -1 to 1, leading and trailing silence cut off."""
    samples, _ = espeak_library.say(text, voice.name, voice.speed, voice.pitch)
    speech = resampled(samples, TARGET_RATE) / 32768
    loud = np.flatnonzero(np.abs(speech) > 0.003)
    return speech[loud[0] : loud[-1] + 1] if len(loud) else speech[:0]


def in_room(
    *speech: Samples,
    rng: np.random.Generator,
    noise: float = 0.002,
    before: float = 0.5,
    pause: float = 0.0,
    after: float = 0.5,
) -> Samples:
    """Return the pieces with silence before, between and after them, and noise over all.

    Args:
        speech: What is said, 16 kHz.
        rng: Where the noise comes from.
        noise: Standard deviation of the noise; 1 is full scale.
        before: Seconds of silence before the first piece.
        pause: Seconds of silence between pieces.
        after: Seconds of silence after the last piece.
    """
    parts = [np.zeros(int(before * 16_000), np.float32)]
    for number, piece in enumerate(speech):
        if number:
            parts.append(np.zeros(int(pause * 16_000), np.float32))
        parts.append(piece)
    parts.append(np.zeros(int(after * 16_000), np.float32))
    whole = np.concatenate(parts)
    return (whole + noise * rng.standard_normal(len(whole))).astype(np.float32)
