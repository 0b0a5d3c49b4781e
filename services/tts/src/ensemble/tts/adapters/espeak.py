"""espeak-ng, in process.

espeak-ng is licensed under the GPL, version 3. It is no part of Ensemble: the shared library
comes with the ``espeak`` extra, is loaded when this engine was chosen, and not before.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from ensemble.core.errors import EngineUnavailableError
from ensemble.tts.adapters.espeak_library import WORDS_PER_MINUTE, EspeakLibrary
from ensemble.tts.ports import Emit, Granularity, Voice

_SLOWEST, _FASTEST = 80, 450


class EspeakSynthesizer:
    """Speaks with espeak-ng.

    A voice is a language tag, such as "en-us" or "de", also with a variant: "en-us+f3".

    Args:
        default_voice: Voice of calls that choose none.
    """

    name = "espeak-ng"
    granularity = Granularity.WORD

    def __init__(self, default_voice: str = "") -> None:
        self._default = default_voice or "en-us"
        self._library: EspeakLibrary | None = None
        self._voices: dict[str, Voice] = {}
        self._files: dict[str, str] = {}

    def load(self) -> None:
        """Load the library and its data."""
        self._library = _load()
        self._files = self._library.voice_files()
        self._voices = {name: self._voice(name, name) for name in self._files}
        if self.find(self._default) is None:
            raise EngineUnavailableError(
                "espeak-ng has no voice of the name that ENSEMBLE_TTS_VOICE gives."
            )

    def voices(self) -> Sequence[Voice]:
        """Return the default voice, then every language in order."""
        default = self.find(self._default)
        others = [self._voices[name] for name in sorted(self._voices)]
        return [voice for voice in (default,) if voice] + [v for v in others if v != default]

    def find(self, name: str) -> Voice | None:
        """Return the voice called ``name``, a variant included."""
        base, plus, variant = name.casefold().replace("_", "-").partition("+")
        voice = self._voices.get(base)
        if voice is None or not plus or self._library is None:
            return voice
        exact = self._library.variants().get(variant)
        return self._voice(f"{base}+{exact}", voice.language) if exact else None

    def synthesize(self, text: str, voice: Voice, rate: float, emit: Emit) -> None:
        """Speak ``text`` into ``emit``, 60 ms at a time."""
        if self._library is None:
            raise EngineUnavailableError
        words = min(max(round(WORDS_PER_MINUTE * rate), _SLOWEST), _FASTEST)
        language, plus, variant = voice.name.partition("+")
        # A few languages are not found by their tag, all by the name of their file.
        self._library.speak(text, f"{self._files[language]}{plus}{variant}", emit, words)

    def close(self) -> None:
        """Let go of the library; it stays loaded, for the process may need it again."""
        self._library = None

    def _voice(self, name: str, language: str) -> Voice:
        return Voice(name, self.name, language, _load().sample_rate)


@functools.lru_cache(maxsize=1)
def _load() -> EspeakLibrary:
    try:
        import espeakng_loader

        return EspeakLibrary(
            Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
        )
    except (ImportError, OSError) as error:
        raise EngineUnavailableError(
            "espeak-ng is not installed; it comes with the extra ensemble-tts[espeak]."
        ) from error
