"""Which speech engine is used."""

from pathlib import Path

import structlog

from ensemble.core import paths
from ensemble.core.errors import EngineUnavailableError
from ensemble.tts.adapters.espeak import EspeakSynthesizer
from ensemble.tts.adapters.piper import PiperSynthesizer, find_voices
from ensemble.tts.ports import Synthesizer
from ensemble.tts.settings import Settings
from ensemble.tts.speech_engine import SpeechEngine

_log = structlog.get_logger()


def candidates(settings: Settings) -> list[Synthesizer]:
    """Return the engines to try, the one to prefer first."""
    folder: Path = settings.models or paths.models()
    piper = PiperSynthesizer(folder, settings.voice, settings.threads)
    espeak = EspeakSynthesizer(settings.voice)
    if settings.engine == "piper":
        return [piper]
    if settings.engine == "espeak-ng":
        return [espeak]
    return [piper, espeak] if find_voices(folder) else [espeak]


async def start_first(synthesizers: list[Synthesizer]) -> SpeechEngine:
    """Return the first of ``synthesizers`` that loads.

    Raises:
        EngineUnavailableError: None does; it is the error of the last one.
    """
    for position, synthesizer in enumerate(synthesizers):
        engine = SpeechEngine(synthesizer)
        try:
            await engine.start()
        except EngineUnavailableError as error:
            await engine.close()
            if position == len(synthesizers) - 1:
                raise
            _log.warning(
                "speech engine not usable, trying the next",
                engine=engine.name,
                cause=error.message,
            )
        except BaseException:
            await engine.close()
            raise
        else:
            return engine
    raise EngineUnavailableError
