"""Changes the sample rate of a stream of audio, without aliasing and without a seam."""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from ensemble.tts.ports import Samples

_ZERO_CROSSINGS = 16
_PASS_BAND = 0.92
_KAISER_BETA = 8.0
_MOST_PHASES = 512


class Resampler:
    """Turns samples at ``source`` hertz into samples at ``target`` hertz.

    A windowed sinc, low-passed below the smaller of the two Nyquist frequencies. The output
    is aligned with the input: sample ``n`` is the input at time ``n / target``.
    """

    def __init__(self, source: int, target: int) -> None:
        divisor = math.gcd(source, target)
        self._source, self._target = source // divisor, target // divisor
        self._identity = source == target
        self._cutoff = _PASS_BAND * min(1.0, target / source)
        self._half = math.ceil(_ZERO_CROSSINGS / self._cutoff)
        self._taps = np.arange(1 - self._half, self._half + 1)
        # What came before the first sample is silence.
        self._input = np.zeros(self._half - 1, np.float32)
        self._input_start = 1 - self._half
        self._received = 0
        self._made = 0
        self._table = _kernels(self._cutoff, self._half, min(self._target, _MOST_PHASES))

    def push(self, samples: Samples) -> Samples:
        """Take the next samples and return those that are ready."""
        if self._identity:
            return samples
        self._received += len(samples)
        self._input = np.concatenate((self._input, samples.astype(np.float32)))
        return self._make(self._received - self._half)

    def finish(self) -> Samples:
        """Return the rest; the input is taken to go on as silence."""
        if self._identity:
            return np.zeros(0, np.int16)
        self._input = np.concatenate((self._input, np.zeros(self._half, np.float32)))
        return self._make(self._received)

    def _make(self, known: int) -> Samples:
        """Return the output up to input time ``known``, exclusive."""
        end = max(self._made, -(-known * self._target // self._source))
        position = np.arange(self._made, end, dtype=np.int64) * self._source
        self._made = end
        if not len(position):
            return np.zeros(0, np.int16)
        base, phase = np.divmod(position, self._target)
        kernel = self._kernel(phase)
        gathered = self._input[(base - self._input_start)[:, None] + self._taps]
        made = np.einsum("ij,ij->i", gathered, kernel)
        keep_from = end * self._source // self._target + 1 - self._half
        if keep_from > self._input_start:
            self._input = self._input[keep_from - self._input_start :]
            self._input_start = keep_from
        result: Samples = np.clip(np.rint(made), -32768, 32767).astype(np.int16)
        return result

    def _kernel(self, phase: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the weights of the taps for outputs ``phase / target`` past an input."""
        steps = len(self._table) - 1
        if steps == self._target:
            return self._table[phase]
        row, rest = np.divmod(phase * steps, self._target)
        share = (rest / self._target).astype(np.float32)[:, None]
        blend: NDArray[np.float32] = self._table[row] * (1 - share) + self._table[row + 1] * share
        return blend


@functools.lru_cache(maxsize=8)
def _kernels(cutoff: float, half: int, steps: int) -> NDArray[np.float32]:
    """Return the weights of the taps, float32[steps + 1, 2 half], by fraction of an input."""
    taps = np.arange(1 - half, half + 1)
    distance = taps[None, :] - (np.arange(steps + 1) / steps)[:, None]
    shape = np.sqrt(np.clip(1 - (distance / half) ** 2, 0, 1))
    weights = np.sinc(cutoff * distance) * np.i0(_KAISER_BETA * shape)
    weights /= weights.sum(axis=1, keepdims=True)
    result: NDArray[np.float32] = weights.astype(np.float32)
    return result
