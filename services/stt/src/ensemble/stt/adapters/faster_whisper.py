"""A Whisper folder, run by faster-whisper on the CPU."""

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np

from ensemble.core.errors import EngineFailedError, EngineUnavailableError
from ensemble.stt.ports import TARGET_RATE, Partial, Request, Samples, Transcript, Word

_NEEDED: Final = ("model.bin", "config.json", "tokenizer.json")


class FasterWhisperRecognizer:
    """Understands free speech.

    Whisper computes a window of 30 s whatever the length of the speech, so each utterance is
    decoded once, when it has ended, and there are no partial results.

    Args:
        folder: A Whisper model in CTranslate2 format: model.bin, config.json, tokenizer.json.
        threads: Threads to compute with.
    """

    name = "faster-whisper"

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._folder = folder
        self._threads = threads
        self._model: Any = None
        # The model computes one utterance at a time; the others wait their turn.
        self._turn = threading.Lock()

    def load(self) -> None:
        """Load the model.

        Raises:
            EngineUnavailableError: A file is missing or broken, or the engine is not installed.
        """
        missing = [name for name in _NEEDED if not (self._folder / name).is_file()]
        if missing:
            # Without its tokenizer the engine would go looking for one on the internet.
            raise EngineUnavailableError(
                f"The Whisper folder {self._folder.name} lacks {', '.join(missing)}."
            )
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise EngineUnavailableError(
                "faster-whisper is missing; install the extra ensemble-stt[whisper]."
            ) from error
        try:
            self._model = WhisperModel(
                str(self._folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=self._threads,
                num_workers=1,
                local_files_only=True,
            )
        except Exception as error:
            raise EngineUnavailableError(
                f"The Whisper folder {self._folder.name} cannot be read."
            ) from error

    def open(self, request: Request) -> "WhisperUtterance":
        """Begin an utterance.

        Raises:
            EngineFailedError: The model is not loaded.
        """
        if self._model is None:
            raise EngineFailedError("The engine is not loaded.")
        return WhisperUtterance(self, request.language)

    def close(self) -> None:
        """Free the model."""
        self._model = None

    def transcribe(self, samples: Samples, language: str) -> Transcript:
        """Return what ``samples`` (16 kHz) say; ``language`` is a BCP 47 tag or empty."""
        with self._turn:
            model = self._model
            if model is None:
                raise EngineFailedError("The engine is not loaded.")
            segments, info = model.transcribe(
                samples,
                language=_spoken_language(model, language),
                beam_size=1,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=True,
            )
            # The work is done while the segments are drawn.
            drawn = list(segments)
        text = " ".join(segment.text.strip() for segment in drawn).strip()
        confidence = (
            float(np.exp(np.mean([segment.avg_logprob for segment in drawn]))) if drawn else None
        )
        words = tuple(
            Word(word.word.strip(), int(word.start * TARGET_RATE), int(word.end * TARGET_RATE))
            for segment in drawn
            for word in segment.words or ()
        )
        return Transcript(text, False, confidence, info.language, words)


def _spoken_language(model: Any, asked: str) -> str | None:
    """Return the model's code of a language; None lets a multilingual model find out."""
    code = asked.partition("-")[0].lower()
    known = model.supported_languages
    if code in known:
        return code
    return None if model.model.is_multilingual and not code else "en"


class WhisperUtterance:
    """One utterance: collects, and decodes at the end."""

    def __init__(self, recognizer: FasterWhisperRecognizer, language: str) -> None:
        self._recognizer = recognizer
        self._language = language
        self._samples: list[Samples] = []

    def push(self, samples: Samples) -> Partial:
        """Take 16 kHz samples; there is no partial result."""
        self._samples.append(samples)
        return Partial("")

    def finish(self) -> Transcript:
        """Return what was said."""
        return self._recognizer.transcribe(np.concatenate(self._samples), self._language)

    def close(self) -> None:
        """Forget the samples."""
        self._samples.clear()
