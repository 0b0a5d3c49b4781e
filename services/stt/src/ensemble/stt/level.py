"""Brings speech to the loudness that the acoustic model knows."""

from typing import Final

import numpy as np

from ensemble.stt.resampler import TARGET_RATE, Samples

_SPEECH_LEVEL: Final = 0.022
"""RMS of speech at which recognition was best; measured, see training/evaluate.py."""

_SETTLE: Final = TARGET_RATE // 2
_FRAME: Final = TARGET_RATE // 50
_LOWEST_GAIN, _HIGHEST_GAIN = 0.02, 40.0

# Exact zeros, as in synthetic or gated audio, make the decoder lose the last words.
_DITHER: Final = 0.0003


class Leveller:
    """One utterance: holds back its first half second, then applies one gain throughout.

    A gain that moved within the utterance would look like another voice to the decoder.
    """

    def __init__(self) -> None:
        self._held: list[Samples] = []
        self._length = 0
        self._gain: float | None = None
        self._noise = np.random.default_rng(0)

    def push(self, samples: Samples) -> Samples:
        """Take samples; return those that can be levelled already."""
        if self._gain is not None:
            return self._level(samples)
        self._held.append(samples)
        self._length += len(samples)
        return self.flush() if self._length >= _SETTLE else samples[:0]

    def flush(self) -> Samples:
        """Return what is held back."""
        if self._gain is not None or not self._held:
            return np.zeros(0, np.float32)
        held = np.concatenate(self._held)
        self._held.clear()
        self._gain = _gain(held)
        return self._level(held)

    def _level(self, samples: Samples) -> Samples:
        assert self._gain is not None
        noise = self._noise.standard_normal(len(samples), np.float32)
        return np.clip(samples * self._gain + _DITHER * noise, -1.0, 1.0).astype(np.float32)


def _gain(samples: Samples) -> float:
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return 1.0
    loudness = np.sqrt((frames**2).mean(axis=1))
    # The louder part is speech, whatever the padding around it.
    speech = loudness[loudness >= loudness.max() * 0.2]
    level = float(np.sqrt((speech**2).mean()))
    return min(_HIGHEST_GAIN, max(_LOWEST_GAIN, _SPEECH_LEVEL / max(level, 1e-6)))
