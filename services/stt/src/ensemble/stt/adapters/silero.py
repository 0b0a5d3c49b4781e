"""The Silero voice activity model that ships inside the faster-whisper wheel."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from ensemble.core.errors import EngineUnavailableError
from ensemble.stt.ports import Samples

FRAME: Final = 512
"""Samples that one probability is about: 32 ms."""

_CONTEXT: Final = 64
_STATE: Final = (1, 1, 128)
_FILE: Final = Path("assets") / "silero_vad_v6.onnx"


def _model_file() -> Path:
    # find_spec does not import: faster_whisper itself costs 60 MB that the model does not need.
    spec = find_spec("faster_whisper")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    raise EngineUnavailableError(
        "The voice activity model is missing; install the extra ensemble-stt[vad]."
    )


class SileroVoiceDetection:
    """Loads the model once; streams share it, each with its own state."""

    name = "silero"

    def __init__(self) -> None:
        self._session: Any = None

    def load(self) -> None:
        """Load the model.

        Raises:
            EngineUnavailableError: The model or onnxruntime is not installed.
        """
        file = _model_file()
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineUnavailableError(
                "onnxruntime is missing; install the extra ensemble-stt[vad]."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The model is tiny: an arena would only hold on to memory.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def open(self) -> "SileroVoiceDetector":
        """Return a detector for one stream; the model must be loaded."""
        if self._session is None:
            raise EngineUnavailableError("The voice activity model is not loaded.")
        return SileroVoiceDetector(self._session)


class SileroVoiceDetector:
    """One stream: 64 samples of context and the recurrent state go from frame to frame."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._hidden = np.zeros(_STATE, np.float32)
        self._cell = np.zeros(_STATE, np.float32)
        self._kept: Samples = np.zeros(_CONTEXT, np.float32)

    def push(self, samples: Samples) -> Sequence[float]:
        """Take 16 kHz samples; return the probability of each 512 that they complete."""
        heard = np.concatenate([self._kept, samples])
        probabilities = []
        start = 0
        while start + _CONTEXT + FRAME <= len(heard):
            window = heard[start : start + _CONTEXT + FRAME]
            output, self._hidden, self._cell = self._session.run(
                None, {"input": window[None], "h": self._hidden, "c": self._cell}
            )
            probabilities.append(float(output.ravel()[0]))
            start += FRAME
        self._kept = heard[start:]
        return probabilities
