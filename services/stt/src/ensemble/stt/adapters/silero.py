"""The Silero voice activity model that ships inside the faster-whisper wheel.

Computed here: it is small, and a runtime for ONNX takes 27 MB, more than all else that listening
needs before somebody speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from ensemble.core.errors import EngineUnavailableError
from ensemble.stt.adapters.onnx_file import OnnxFile, Tensor
from ensemble.stt.ports import Samples

FRAME: Final = 512
"""Samples that one probability is about: 32 ms."""

_CONTEXT: Final = 64
_WINDOW: Final = 256
_HOP: Final = 128
_BINS: Final = 129
_HIDDEN: Final = 128
_FILE: Final = Path("assets") / "silero_vad_v6.onnx"

_SHAPES: Final = (
    (2 * _BINS, 1, _WINDOW),
    *((128, _BINS, 3), (128,)),
    *((64, 128, 3), (64,)),
    *((64, 64, 3), (64,)),
    *((128, 64, 3), (128,)),
    *((1, 4 * _HIDDEN, 128), (1, 4 * _HIDDEN, _HIDDEN), (1, 8 * _HIDDEN)),
    *((1, _HIDDEN, 1), (1,)),
)
"""Of the weights, in the order in which they are used."""

_STEPS: Final = (
    *("Pad", "Unsqueeze", "Conv", "Slice", "Slice", "Pow", "Pow", "Add", "Sqrt"),
    *(("Conv", "Relu") * 4),
    *("Transpose", "LSTM", "Squeeze", "Relu", "Transpose", "Conv", "Sigmoid", "Reshape"),
)


def model_file() -> Path:
    """Return where the model lies.

    Raises:
        EngineUnavailableError: It is not installed.
    """
    # find_spec does not import: faster_whisper itself costs 60 MB that the model does not need.
    spec = find_spec("faster_whisper")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    raise EngineUnavailableError(
        "The voice activity model is missing; install the extra ensemble-stt[vad]."
    )


@dataclass(frozen=True, slots=True)
class _Weights:
    """Matrices that are multiplied from the left with columns, and what is added then.

    The convolutions read three neighbours, one row after the other: of the third one, the first
    neighbour is always the padding, of the fourth only the middle one is not.
    """

    spectrum: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    third: Tensor
    third_bias: Tensor
    fourth: Tensor
    fourth_bias: Tensor
    gates: Tensor
    gates_bias: Tensor
    last: Tensor
    last_bias: float

    @classmethod
    def read(cls, file: Path) -> "_Weights":
        """Return the weights in ``file``.

        Raises:
            OSError: It cannot be read.
            ValueError: It is damaged, or holds another model.
        """
        model = OnnxFile.read(file)
        if tuple(node.operator for node in model.nodes) != _STEPS:
            raise ValueError("another model")
        # The first input of a step is the sound; those after its weights are the state.
        names = [
            name
            for node in model.nodes
            if node.operator in ("Conv", "LSTM")
            for name in node.inputs[1:4]
        ]
        found = [model.tensors.get(name, np.zeros(0, np.float32)) for name in names]
        if tuple(tensor.shape for tensor in found) != _SHAPES:
            raise ValueError("weights of another shape")
        spectrum, first, first_bias, second, second_bias, third, third_bias, *found = found
        fourth, fourth_bias, input_gates, hidden_gates, gates_bias, last, last_bias = found
        return cls(
            _rows(spectrum),
            _rows(first),
            first_bias[:, None],
            _rows(second),
            second_bias[:, None],
            _rows(third[:, :, 1:]),
            third_bias,
            _rows(fourth[:, :, 1:2]),
            fourth_bias,
            np.concatenate([input_gates[0], hidden_gates[0]], axis=1),
            gates_bias[0].reshape(2, -1).sum(axis=0),
            last.reshape(-1),
            float(last_bias[0]),
        )


def _rows(weights: Tensor) -> Tensor:
    """Return the weights [out, in, neighbours] as a matrix [out, neighbours x in]."""
    rows = weights.transpose(0, 2, 1).reshape(len(weights), -1)
    return np.ascontiguousarray(rows)


class SileroVoiceDetection:
    """Loads the model once; streams share it, each with its own state."""

    name = "silero"

    def __init__(self) -> None:
        self._weights: _Weights | None = None

    def load(self) -> None:
        """Load the model.

        Raises:
            EngineUnavailableError: The model is not installed, or is another one.
        """
        file = model_file()
        try:
            self._weights = _Weights.read(file)
        except (OSError, ValueError) as error:
            raise EngineUnavailableError("The voice activity model cannot be read.") from error

    def open(self) -> "SileroVoiceDetector":
        """Return a detector for one stream; the model must be loaded."""
        if self._weights is None:
            raise EngineUnavailableError("The voice activity model is not loaded.")
        return SileroVoiceDetector(self._weights)


class SileroVoiceDetector:
    """One stream: 64 samples of context and the recurrent state go from frame to frame."""

    def __init__(self, weights: _Weights) -> None:
        self._weights = weights
        self._hidden: Tensor = np.zeros(_HIDDEN, np.float32)
        self._cell: Tensor = np.zeros(_HIDDEN, np.float32)
        self._kept: Samples = np.zeros(_CONTEXT, np.float32)

    def push(self, samples: Samples) -> Sequence[float]:
        """Take 16 kHz samples; return the probability of each 512 that they complete."""
        heard = np.concatenate([self._kept, samples])
        probabilities = []
        start = 0
        while start + _CONTEXT + FRAME <= len(heard):
            probabilities.append(self._frame(heard[start : start + _CONTEXT + FRAME]))
            start += FRAME
        self._kept = heard[start:]
        return probabilities

    def _frame(self, window: Samples) -> float:
        sound = self._sound(window)
        weights = self._weights
        gates = weights.gates @ np.concatenate([sound, self._hidden]) + weights.gates_bias
        # In the order of ONNX: input, output, forget, cell.
        keep, show, forget = _sigmoid(gates[: 3 * _HIDDEN]).reshape(3, _HIDDEN)
        self._cell = forget * self._cell + keep * np.tanh(gates[3 * _HIDDEN :])
        self._hidden = show * np.tanh(self._cell)
        level = np.maximum(self._hidden, 0) @ weights.last + weights.last_bias
        return float(_sigmoid(level))

    def _sound(self, window: Samples) -> Tensor:
        """Return what the encoder makes of 576 samples, float32[128]."""
        weights = self._weights
        mirrored = np.concatenate([window, window[-2 : -_CONTEXT - 2 : -1]])
        pieces = np.lib.stride_tricks.sliding_window_view(mirrored, _WINDOW)[::_HOP]
        spectrum = weights.spectrum @ pieces.T
        spectrum *= spectrum
        # Four columns, with one of silence before and after them.
        columns = np.zeros((_BINS, 6), np.float32)
        np.sqrt(spectrum[:_BINS] + spectrum[_BINS:], out=columns[:, 1:5])
        near = np.concatenate([columns[:, 0:4], columns[:, 1:5], columns[:, 2:6]])
        first = np.maximum(weights.first @ near + weights.first_bias, 0)
        near = np.zeros((3 * 128, 2), np.float32)
        near[:128, 1], near[128:256], near[256:] = first[:, 1], first[:, 0:3:2], first[:, 1:4:2]
        second = np.maximum(weights.second @ near + weights.second_bias, 0)
        third = weights.third @ second.T.reshape(-1) + weights.third_bias
        fourth = weights.fourth @ np.maximum(third, 0) + weights.fourth_bias
        sound: Tensor = np.maximum(fourth, 0)
        return sound


def _sigmoid(values: Tensor) -> Tensor:
    # Unlike the quotient of exponentials, it cannot overflow.
    result: Tensor = 0.5 * np.tanh(0.5 * values) + 0.5
    return result
