"""Which engine listens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from ensemble.core import paths
from ensemble.core.errors import EngineUnavailableError
from ensemble.stt.adapters.faster_whisper import FasterWhisperRecognizer
from ensemble.stt.adapters.pocketsphinx import PocketsphinxRecognizer
from ensemble.stt.ports import Recognizer
from ensemble.stt.settings import Settings

_LOG = structlog.get_logger()

_WHISPER_FILES: Final = ("model.bin", "config.json", "tokenizer.json")


def choose(settings: Settings) -> Recognizer:
    """Return the engine that the settings ask for, not yet loaded.

    Raises:
        EngineUnavailableError: faster-whisper is asked for and there is no folder for it.
    """
    if settings.engine == "pocketsphinx":
        return PocketsphinxRecognizer(settings.max_streams)
    models = settings.models or paths.models()
    folder = _whisper_folder(models)
    if folder is not None:
        return FasterWhisperRecognizer(folder, settings.threads)
    if settings.engine == "faster-whisper":
        raise EngineUnavailableError(
            f"There is no Whisper folder in {models}; it needs {', '.join(_WHISPER_FILES)}."
        )
    return PocketsphinxRecognizer(settings.max_streams)


def _whisper_folder(models: Path) -> Path | None:
    """Return the first complete Whisper folder in ``models``, or ``models`` where it is one."""
    for folder in _folders(models):
        present = [name for name in _WHISPER_FILES if (folder / name).is_file()]
        if len(present) == len(_WHISPER_FILES):
            return folder
        if "model.bin" in present:
            missing = sorted(set(_WHISPER_FILES) - set(present))
            _LOG.warning("incomplete whisper folder", folder=folder.name, missing=missing)
    return None


def _folders(models: Path) -> Iterator[Path]:
    if models.is_dir():
        yield models
        yield from sorted(entry for entry in models.iterdir() if entry.is_dir())
