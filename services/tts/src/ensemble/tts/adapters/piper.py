"""Piper voices: neural models that speak far more naturally than espeak-ng.

piper-tts is licensed under the GPL, version 3. It is no part of Ensemble: it comes with the
``piper`` extra, is loaded when this engine was chosen, and not before.
"""

import importlib
import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from ensemble.core.errors import EngineUnavailableError
from ensemble.tts.ports import Emit, Granularity, Voice

_KEPT_VOICES = 2
_SLOWEST, _FASTEST = 0.25, 4.0
_SOFTEST_PEAK = 0.05
_CHUNK_SAMPLES = 4096
_MAX_CONFIG_BYTES = 4 << 20

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Speaker:
    voice: Voice
    model: Path
    number: int | None


class PiperSynthesizer:
    """Speaks with the Piper voices of a folder.

    A voice is a file ``NAME.onnx`` with its ``NAME.onnx.json``, in the folder or one level
    below. A voice of several speakers also gives "NAME/SPEAKER" for each.

    Args:
        folder: Where the voices lie.
        default_voice: Voice of calls that choose none; the first by name when empty.
        threads: Threads to compute with.
    """

    name = "piper"
    granularity = Granularity.CLAUSE

    def __init__(self, folder: Path, default_voice: str = "", threads: int = 1) -> None:
        self._folder = folder
        self._default = default_voice
        self._threads = threads
        self._speakers: dict[str, _Speaker] = {}
        # The models in memory, the one used last at the end.
        self._models: OrderedDict[Path, Any] = OrderedDict()

    def load(self) -> None:
        """Read which voices there are and load the default one."""
        self._speakers = {
            speaker.voice.name: speaker
            for model in find_voices(self._folder)
            for speaker in self._read(model)
        }
        if not self._speakers:
            raise EngineUnavailableError("There is no readable Piper voice in the models folder.")
        if self._default and self._default not in self._speakers:
            raise EngineUnavailableError(
                "Piper has no voice of the name that ENSEMBLE_TTS_VOICE gives."
            )
        default = self._speakers[self._default or min(self._speakers)]
        self._default = default.voice.name
        try:
            self._model(default.model)
        except ImportError as error:
            raise EngineUnavailableError(
                "piper-tts is not installed; it comes with the extra ensemble-tts[piper]."
            ) from error
        except Exception as error:
            raise EngineUnavailableError(
                f"The Piper voice {default.voice.name} cannot be loaded."
            ) from error

    def voices(self) -> Sequence[Voice]:
        """Return the default voice, then the others in order of name."""
        names = sorted(self._speakers, key=lambda name: (name != self._default, name))
        return [self._speakers[name].voice for name in names]

    def find(self, name: str) -> Voice | None:
        """Return the voice called ``name``."""
        speaker = self._speakers.get(name)
        return speaker.voice if speaker else None

    def synthesize(self, text: str, voice: Voice, rate: float, emit: Emit) -> None:
        """Speak ``text`` into ``emit``: made in one run, handed over in pieces."""
        from piper.config import SynthesisConfig

        speaker = self._speakers[voice.name]
        model = self._model(speaker.model)
        # Piper would make a sentence of each "Dr."; a clause is one utterance.
        phonemes = [phoneme for sentence in model.phonemize(text) for phoneme in sentence]
        if not phonemes:
            return
        speed = min(max(rate, _SLOWEST), _FASTEST)
        audio = model.phoneme_ids_to_audio(
            model.phonemes_to_ids(phonemes),
            SynthesisConfig(
                speaker_id=speaker.number, length_scale=model.config.length_scale / speed
            ),
        )
        audio = np.atleast_1d(np.asarray(audio, np.float32))
        if not len(audio):
            return
        # Models differ in loudness: all are brought to full scale, whispers not blown up.
        peak = max(float(np.max(np.abs(audio))), _SOFTEST_PEAK)
        samples = np.clip(audio * (32767 / peak), -32767, 32767).astype(np.int16)
        for start in range(0, len(samples), _CHUNK_SAMPLES):
            if not emit(samples[start : start + _CHUNK_SAMPLES], ()):
                return

    def close(self) -> None:
        """Free the models."""
        self._models.clear()

    def _model(self, path: Path) -> Any:
        if path not in self._models:
            self._models[path] = _load(path, self._threads)
            if len(self._models) > _KEPT_VOICES:
                self._models.popitem(last=False)
        self._models.move_to_end(path)
        return self._models[path]

    def _read(self, model: Path) -> Iterator[_Speaker]:
        try:
            config = json.loads(_config_of(model).read_bytes()[:_MAX_CONFIG_BYTES])
            rate = int(config["audio"]["sample_rate"])
            language = (config.get("language") or {}).get("code") or config["espeak"]["voice"]
            speakers = config.get("speaker_id_map") or {}
            if int(config["num_speakers"]) < 2:
                speakers = {}
            numbers = {str(name): int(number) for name, number in speakers.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            _log.warning("piper voice skipped: its description is unreadable", voice=model.stem)
            return
        tag = str(language).replace("_", "-")
        yield _Speaker(Voice(model.stem, self.name, tag, rate), model, None)
        for name, number in numbers.items():
            voice = Voice(f"{model.stem}/{name}", self.name, tag, rate)
            yield _Speaker(voice, model, number)


def find_voices(folder: Path) -> list[Path]:
    """Return the model of every Piper voice in ``folder`` or one level below, by name."""
    found = {*folder.glob("*.onnx"), *folder.glob("*/*.onnx")}
    return sorted(path for path in found if _config_of(path).is_file())


def _config_of(model: Path) -> Path:
    return model.with_name(f"{model.name}.json")


def _load(path: Path, threads: int) -> Any:
    onnxruntime = importlib.import_module("onnxruntime")
    piper = importlib.import_module("piper")
    # Its debug messages hold the text.
    logging.getLogger("piper").setLevel(logging.ERROR)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Piper's own loader offers no way to limit the threads.
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    config = json.loads(_config_of(path).read_text("utf-8"))
    return piper.PiperVoice(session=session, config=piper.PiperConfig.from_dict(config))
