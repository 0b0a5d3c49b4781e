"""Brings speech to the loudness that the acoustic model knows."""

from typing import Final

import numpy as np

from ensemble.stt.ports import TARGET_RATE, Samples

_SPEECH_LEVEL: Final = 0.022
"""RMS of speech at which recognition was best; measured, see training/evaluate.py."""

_FRAME: Final = TARGET_RATE // 50
_ENOUGH: Final = 20
"""Loud frames of 20 ms that tell how loud somebody speaks."""
_SHORT: Final = 5
"""Loud frames that must do when the speaker falls silent after them."""
_FALLEN_SILENT: Final = 6
_LOOKED_AT: Final = 96
"""Runs of samples among which the loud frames are looked for: 3 s as they come."""
# A frame is loud beside the quietest ones heard, and not where all is next to nothing.
_ABOVE_NOISE: Final = 4.0
_NOTHING: Final = 0.001
_LOWEST_GAIN, _HIGHEST_GAIN = 0.02, 40.0

# Exact zeros, as in synthetic or gated audio, make the decoder lose the last words.
_DITHER: Final = 0.0003


class Leveller:
    """One utterance: holds back until the speaker's loudness is known, then applies one gain.

    A gain that moved within the utterance would look like another voice to the decoder.
    """

    def __init__(self) -> None:
        self._held: list[Samples] = []
        self._gain: float | None = None
        self._noise = np.random.default_rng(0)

    def push(self, samples: Samples) -> Samples:
        """Take samples; return those that can be levelled already."""
        if self._gain is not None:
            return self._level(samples)
        self._held.append(samples)
        return self.flush() if self._is_known() else samples[:0]

    def flush(self) -> Samples:
        """Return what is held back."""
        if self._gain is not None or not self._held:
            return np.zeros(0, np.float32)
        held = np.concatenate(self._held)
        self._held.clear()
        self._gain = _gain(held)
        return self._level(held)

    def _is_known(self) -> bool:
        loudness = _loudness(np.concatenate(self._held[-_LOOKED_AT:]))
        if not len(loudness):
            return False
        loud = loudness > max(_NOTHING, _ABOVE_NOISE * float(np.quantile(loudness, 0.1)))
        count = int(loud.sum())
        return count >= _ENOUGH or (count >= _SHORT and not loud[-_FALLEN_SILENT:].any())

    def _level(self, samples: Samples) -> Samples:
        assert self._gain is not None
        noise = self._noise.standard_normal(len(samples), np.float32)
        return np.clip(samples * self._gain + _DITHER * noise, -1.0, 1.0).astype(np.float32)


def _loudness(samples: Samples) -> Samples:
    """Return the RMS of each 20 ms."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    loudness: Samples = np.sqrt((frames**2).mean(axis=1))
    return loudness


def _gain(samples: Samples) -> float:
    loudness = _loudness(samples)
    if not len(loudness):
        return 1.0
    # The louder part is speech, whatever the padding around it.
    speech = loudness[loudness >= loudness.max() * 0.2]
    level = float(np.sqrt((speech**2).mean()))
    return min(_HIGHEST_GAIN, max(_LOWEST_GAIN, _SPEECH_LEVEL / max(level, 1e-6)))
