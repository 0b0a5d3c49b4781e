"""Streaming sample-rate conversion by windowed sinc."""

from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

TARGET_RATE: Final = 16_000
"""Samples a second that the detector and the engines listen to."""

# Twelve zero crossings a side and this Kaiser window keep aliases 70 dB down.
_ZERO_CROSSINGS: Final = 12
_KAISER_BETA: Final = 7.0
_PASSBAND: Final = 0.94
# Rates that share no useful factor with 16 kHz use the nearest of so many filter phases.
_MOST_PHASES: Final = 1024


class Resampler:
    """Turns one channel at ``rate`` into 16 kHz, in runs of any length.

    Output sample ``n`` is the input at time ``n / 16000``: the filter's delay is taken out,
    so positions convert by the ratio of the rates alone.

    Args:
        rate: Samples a second of the input.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        common = gcd(rate, TARGET_RATE)
        self._up, self._down = TARGET_RATE // common, rate // common
        self._direct = rate == TARGET_RATE
        if self._direct:
            return
        cutoff = _PASSBAND * min(1.0, TARGET_RATE / rate)
        half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
        self._half = half
        self._phases = min(self._up, _MOST_PHASES)
        taps = np.arange(1 - half, half + 1)
        distance = taps[None, :] - np.arange(self._phases + 1)[:, None] / self._phases
        window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, 1)))
        filters = cutoff * np.sinc(cutoff * distance) * window
        filters /= filters.sum(axis=1, keepdims=True)
        self._filters: Samples = filters.astype(np.float32)
        self._taps = taps
        # Input kept: from index `_first` (of the whole stream) on, silence before the start.
        self._kept: Samples = np.zeros(half - 1, np.float32)
        self._first = 1 - half
        self._made = 0

    def push(self, samples: Samples) -> Samples:
        """Take input, return the output that it completes."""
        if self._direct:
            return samples
        self._kept = np.concatenate([self._kept, samples])
        known = self._first + len(self._kept)
        # The newest output whose filter ends inside what is known.
        ready = max(self._made, ((known - self._half - 1) * self._up) // self._down + 1)
        return self._make(ready)

    def flush(self) -> Samples:
        """Return what is left of the output, the input having ended."""
        if self._direct:
            return np.zeros(0, np.float32)
        length = self._first + len(self._kept)
        self._kept = np.concatenate([self._kept, np.zeros(self._half + 1, np.float32)])
        return self._make(max(self._made, -(-length * self._up // self._down)))

    def _make(self, until: int) -> Samples:
        if until <= self._made:
            return np.zeros(0, np.float32)
        position = np.arange(self._made, until) * self._down
        whole, part = np.divmod(position, self._up)
        phase = np.rint(part * (self._phases / self._up)).astype(np.intp)
        window = self._kept[(whole - self._first)[:, None] + self._taps[None, :]]
        made: Samples = np.einsum("ij,ij->i", window, self._filters[phase])
        self._made = until
        keep_from = (until * self._down) // self._up + 1 - self._half
        drop = max(0, keep_from - self._first)
        self._kept = self._kept[drop:]
        self._first += drop
        return made
