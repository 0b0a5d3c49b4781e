"""Chooses a voice by name or language."""

from collections.abc import Sequence

from ensemble.core.errors import VoiceNotFoundError
from ensemble.tts.ports import Voice
from ensemble.tts.speech_engine import SpeechEngine


async def choose_voice(engine: SpeechEngine, name: str, language: str) -> Voice:
    """Return the voice ``name``, else the best for ``language``, else the default.

    Raises:
        VoiceNotFoundError: No voice has this name or speaks this language.
    """
    if name:
        voice = await engine.find(name)
        if voice is None:
            raise VoiceNotFoundError(metadata={"voice": name})
        return voice
    if not language:
        return engine.voices[0]
    best = _by_language(engine.voices, language)
    if best is None:
        raise VoiceNotFoundError(
            "There is no voice for this language.", metadata={"language": language}
        )
    return best


def _by_language(voices: Sequence[Voice], language: str) -> Voice | None:
    wanted = _subtags(language)
    scored = [(_agreement(_subtags(voice.language), wanted), voice) for voice in voices]
    score, best = max(scored, key=lambda pair: pair[0])
    return best if score else None


def _subtags(tag: str) -> list[str]:
    return tag.casefold().replace("_", "-").split("-")


def _agreement(offered: list[str], wanted: list[str]) -> int:
    """Return how well two tags agree; 0 when they are different languages."""
    if offered[0] != wanted[0]:
        return 0
    common = len(set(offered) & set(wanted))
    return 100 * common - len(offered) + 1 if offered != wanted else 1000
