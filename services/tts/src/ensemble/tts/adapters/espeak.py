"""espeak-ng, in process.

espeak-ng is licensed under the GPL, version 3. It is no part of Ensemble: the shared library
comes with the ``espeak`` extra, is loaded when this engine was chosen, and not before.
"""

import ctypes
import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ensemble.core.errors import EngineFailedError, EngineUnavailableError
from ensemble.tts.ports import Emit, Granularity, Voice, WordMark

_SYNCHRONOUS = 2
_CHUNK_MS = 60
_DO_NOT_EXIT = 0x8000
_WORD_EVENT = 1
_POSITION_IN_CHARACTERS = 1
_UTF8 = 1
_RATE_PARAMETER = 1
_WORDS_PER_MINUTE = 175
_SLOWEST, _FASTEST = 80, 450


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("text", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        # Each language: one byte of priority, then the tag; an empty one ends the list.
        ("languages", ctypes.POINTER(ctypes.c_char)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


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
        self._library: _Library | None = None
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
        words = min(max(round(_WORDS_PER_MINUTE * rate), _SLOWEST), _FASTEST)
        language, plus, variant = voice.name.partition("+")
        # A few languages are not found by their tag, all by the name of their file.
        self._library.speak(text, f"{self._files[language]}{plus}{variant}", words, emit)

    def close(self) -> None:
        """Let go of the library; it stays loaded, for the process may need it again."""
        self._library = None

    def _voice(self, name: str, language: str) -> Voice:
        return Voice(name, self.name, language, _load().sample_rate)


class _Library:
    """The library of espeak-ng. Its state is global: one in a process, one text at a time."""

    def __init__(self, library: Any, data: Path) -> None:
        self._library = library
        self._data = data
        _declare(library)
        self.sample_rate: int = library.espeak_Initialize(
            _SYNCHRONOUS, _CHUNK_MS, str(data).encode(), _DO_NOT_EXIT
        )
        if self.sample_rate <= 0:
            raise EngineUnavailableError("espeak-ng cannot read its data.")
        # The library keeps the pointer: it must live as long as the library is used.
        self._callback = _Callback(self._take)
        library.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()
        self._chosen = ("", 0)
        self._emit: Emit | None = None
        self._failure: BaseException | None = None

    def voice_files(self) -> dict[str, str]:
        """Return the language tag of every voice that needs nothing else, with its file."""
        files: dict[str, str] = {}
        with self._lock:
            voices = self._library.espeak_ListVoices(None)
            index = 0
            while voices[index]:
                voice = voices[index].contents
                file = voice.identifier.decode()
                if not file.startswith("mb/"):
                    # The tag follows the byte of priority.
                    address = ctypes.addressof(voice.languages.contents)
                    files.setdefault(ctypes.string_at(address + 1).decode().casefold(), file)
                index += 1
        return files

    def variants(self) -> dict[str, str]:
        """Return the variants of voices by their names in lower case."""
        folder = self._data / "voices" / "!v"
        return {path.name.casefold(): path.name for path in folder.iterdir()}

    def speak(self, text: str, voice: str, words_a_minute: int, emit: Emit) -> None:
        """Speak ``text`` into ``emit`` and return when all is said."""
        data = text.encode()
        with self._lock:
            self._choose(voice, words_a_minute)
            self._emit, self._failure = emit, None
            status = self._library.espeak_Synth(
                data, len(data) + 1, 0, _POSITION_IN_CHARACTERS, 0, _UTF8, None, None
            )
            failure, self._emit, self._failure = self._failure, None, None
        if failure is not None:
            raise failure
        if status != 0:
            raise EngineFailedError("espeak-ng refused the text.")

    def _choose(self, voice: str, words_a_minute: int) -> None:
        if self._chosen == (voice, words_a_minute):
            return
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            self._chosen = ("", 0)
            raise EngineFailedError("espeak-ng cannot load this voice.")
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_a_minute, 0)
        self._chosen = (voice, words_a_minute)

    def _take(self, samples: Any, count: int, events: Any) -> int:
        """Take a chunk from the library; 1 tells it to stop."""
        emit = self._emit
        if emit is None:
            return 1
        if not samples or count <= 0:
            return 0
        try:
            marks = []
            index = 0
            while events[index].type:
                event = events[index]
                if event.type == _WORD_EVENT:
                    marks.append(WordMark(event.sample, event.text_position - 1))
                index += 1
            chunk = np.frombuffer(ctypes.string_at(samples, 2 * count), np.int16)
            return 0 if emit(chunk, marks) else 1
        except BaseException as error:  # Nothing may escape into the library.
            self._failure = error
            return 1


@functools.lru_cache(maxsize=1)
def _load() -> _Library:
    try:
        import espeakng_loader

        return _Library(
            ctypes.CDLL(espeakng_loader.get_library_path()),
            Path(espeakng_loader.get_data_path()),
        )
    except (ImportError, OSError) as error:
        raise EngineUnavailableError(
            "espeak-ng is not installed; it comes with the extra ensemble-tts[espeak]."
        ) from error


def _declare(library: Any) -> None:
    library.espeak_Initialize.argtypes = [
        *(ctypes.c_int, ctypes.c_int),
        *(ctypes.c_char_p, ctypes.c_int),
    ]
    library.espeak_SetSynthCallback.argtypes = [_Callback]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
        *(ctypes.c_void_p, ctypes.c_void_p),
    ]
