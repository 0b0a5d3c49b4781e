"""espeak-ng, in process.

espeak-ng is licensed under the GPL, version 3. It is no part of Ensemble: the shared library
comes with the ``espeak`` extra, is loaded when this engine was chosen, and not before.
"""

import ctypes
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
    """The library of espeak-ng. It has global state: one instance a process speaks at a time.

    A voice is a language tag, such as "en-us" or "de", also with a variant: "en-us+f3".

    Args:
        default_voice: Voice of calls that choose none.
    """

    name = "espeak-ng"
    granularity = Granularity.WORD

    def __init__(self, default_voice: str = "") -> None:
        self._default = default_voice or "en-us"
        self._library: Any = None
        self._rate = 0
        self._variants = Path()
        self._voices: dict[str, Voice] = {}
        self._emit: Emit | None = None
        self._failure: BaseException | None = None
        self._spoken = ("", 0)
        # The library keeps the pointer: it must live as long as the library is used.
        self._callback = _Callback(self._take)

    def load(self) -> None:
        """Load the library and its data."""
        try:
            import espeakng_loader

            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (ImportError, OSError) as error:
            raise EngineUnavailableError(
                "espeak-ng is not installed; it comes with the extra ensemble-tts[espeak]."
            ) from error
        _declare(library)
        rate = library.espeak_Initialize(_SYNCHRONOUS, _CHUNK_MS, str(data).encode(), _DO_NOT_EXIT)
        if rate <= 0:
            raise EngineUnavailableError("espeak-ng cannot read its data.")
        library.espeak_SetSynthCallback(self._callback)
        self._library, self._rate = library, rate
        self._variants = Path(data) / "voices" / "!v"
        self._voices = {name: self._voice(name) for name in _languages(library)}
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
        if voice is None or not plus:
            return voice
        known = {path.name.casefold(): path.name for path in self._variants.iterdir()}
        if variant not in known:
            return None
        return Voice(f"{base}+{known[variant]}", self.name, voice.language, self._rate)

    def synthesize(self, text: str, voice: Voice, rate: float, emit: Emit) -> None:
        """Speak ``text`` into ``emit``, 60 ms at a time."""
        words = min(max(round(_WORDS_PER_MINUTE * rate), _SLOWEST), _FASTEST)
        self._prepare(voice, words)
        self._emit, self._failure = emit, None
        data = text.encode()
        try:
            status = self._library.espeak_Synth(
                data, len(data) + 1, 0, _POSITION_IN_CHARACTERS, 0, _UTF8, None, None
            )
        finally:
            self._emit = None
        if self._failure is not None:
            raise self._failure
        if status != 0:
            raise EngineFailedError("espeak-ng refused the text.")

    def close(self) -> None:
        """Free the library's data."""
        if self._library is not None:
            self._library.espeak_Terminate()
            self._library = None

    def _voice(self, name: str) -> Voice:
        return Voice(name, self.name, name, self._rate)

    def _prepare(self, voice: Voice, words_a_minute: int) -> None:
        if self._spoken == (voice.name, words_a_minute):
            return
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise EngineFailedError("espeak-ng cannot load this voice.")
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_a_minute, 0)
        self._spoken = (voice.name, words_a_minute)

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


def _declare(library: Any) -> None:
    library.espeak_Initialize.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_SetSynthCallback.argtypes = [_Callback]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip


def _languages(library: Any) -> set[str]:
    """Return the tag of every voice that needs nothing but espeak-ng."""
    names = set()
    voices = library.espeak_ListVoices(None)
    index = 0
    while voices[index]:
        voice = voices[index].contents
        if not voice.identifier.startswith(b"mb/"):
            # The tag follows the byte of priority.
            address = ctypes.addressof(voice.languages.contents)
            names.add(ctypes.string_at(address + 1).decode())
        index += 1
    return names
