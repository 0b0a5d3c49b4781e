"""The voice activity model, beside the runtime that it was made for."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from ensemble.core.errors import EngineUnavailableError
from ensemble.stt.adapters import silero
from ensemble.stt.adapters.silero import FRAME, SileroVoiceDetection
from ensemble.stt.ports import Samples
from ensemble.testkit.fixtures import speak

pytestmark = pytest.mark.unit

CONTEXT = 64


def audio() -> Samples:
    """Return speech loud and soft, noise, clipping and nothing at all."""
    speech = speak("turn on the kitchen light please", lead=0.4, tail=0.6)
    said = speech.astype(np.float32) / 32768
    noise = np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
    quiet = np.zeros(8_000, np.float32)
    parts = [said, 0.02 * said, 0.1 * noise, quiet, np.clip(40 * said, -1, 1), 1e-6 * noise, said]
    return np.concatenate(parts)


def by_runtime(file: Path, samples: Samples) -> list[float]:
    """Return the probabilities as onnxruntime computes them."""
    session: Any = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    hidden: NDArray[np.float32] = np.zeros((1, 1, 128), np.float32)
    cell = hidden
    heard = np.concatenate([np.zeros(CONTEXT, np.float32), samples])
    found = []
    for start in range(0, len(heard) - CONTEXT - FRAME + 1, FRAME):
        window = heard[start : start + CONTEXT + FRAME][None]
        output, hidden, cell = session.run(None, {"input": window, "h": hidden, "c": cell})
        found.append(float(output.ravel()[0]))
    return found


def test_it_hears_what_the_runtime_hears() -> None:
    samples = audio()
    detection = SileroVoiceDetection()
    detection.load()
    ours = detection.open().push(samples)
    theirs = by_runtime(silero.model_file(), samples)
    assert len(ours) == len(theirs) > 300
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("kept", [0, 7, 1000, 600_000, 1_245_000])
def test_a_file_that_is_cut_short_is_refused(
    kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused(silero.model_file().read_bytes()[:kept], tmp_path, monkeypatch)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _refused(b"\x89PNG and no weights at all", tmp_path, monkeypatch)
    _refused(np.random.default_rng(0).bytes(4096), tmp_path, monkeypatch)


def test_a_model_of_other_steps_or_sizes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = silero.model_file().read_bytes()
    # The same length, so that the file stays whole: a step renamed, weights that are no floats.
    _refused(good.replace(b"Sigmoid", b"Softmax"), tmp_path, monkeypatch)
    name = b"encoder.conv_layers.2.bias"
    as_double = good.replace(b"\x10\x01\x42\x1a" + name, b"\x10\x0b\x42\x1a" + name)
    _refused(as_double, tmp_path, monkeypatch)
    _refused(good.replace(name, b"encoder.conv_layers.2.bios", 1), tmp_path, monkeypatch)


def test_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero, "model_file", lambda: tmp_path / "model.onnx")
    with pytest.raises(EngineUnavailableError):
        SileroVoiceDetection().load()


def _refused(content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "model.onnx"
    file.write_bytes(content)
    monkeypatch.setattr(silero, "model_file", lambda: file)
    with pytest.raises(EngineUnavailableError):
        SileroVoiceDetection().load()
    monkeypatch.undo()
