"""The shared library of espeak-ng, as far as it is used."""

import ctypes
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ensemble.core.errors import EngineFailedError, EngineUnavailableError
from ensemble.tts.ports import Emit, WordMark

WORDS_PER_MINUTE = 175
"""How fast the voices speak of themselves."""

PITCH = 50
"""How high the voices speak of themselves, 0 to 99."""

_SYNCHRONOUS = 2
_CHUNK_MS = 60
_PHONEME_EVENTS_IN_IPA = 0b11
_DO_NOT_EXIT = 0x8000
_WORD_EVENT = 1
_PHONEME_EVENT = 7
_POSITION_IN_CHARACTERS = 1
_UTF8 = 1
_RATE_PARAMETER = 1
_PITCH_PARAMETER = 3


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


class EspeakLibrary:
    """The library, loaded from ``file``.

    Its state is global: one for a file, one text at a time. A copy of the file has a state of
    its own.

    Args:
        file: The shared library.
        data: Folder of its voices.
        phonemes: Whether it tells which phonemes it speaks.

    Attributes:
        sample_rate: Samples a second that it makes.

    Raises:
        OSError: The file cannot be loaded.
        EngineUnavailableError: The data cannot be read.
    """

    def __init__(self, file: Path, data: Path, *, phonemes: bool = False) -> None:
        self._library = library = ctypes.CDLL(str(file))
        self._data = data
        _declare(library)
        options = _DO_NOT_EXIT | (_PHONEME_EVENTS_IN_IPA if phonemes else 0)
        self.sample_rate: int = library.espeak_Initialize(
            _SYNCHRONOUS, _CHUNK_MS, str(data).encode(), options
        )
        if self.sample_rate <= 0:
            raise EngineUnavailableError("espeak-ng cannot read its data.")
        # The library keeps the pointer: it must live as long as the library is used.
        self._callback = _Callback(self._take)
        library.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()
        self._chosen = ("", 0, 0)
        self._emit: Emit | None = None
        self._phonemes: list[tuple[str, int]] = []
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

    def speak(
        self,
        text: str,
        voice: str,
        emit: Emit,
        words_a_minute: int = WORDS_PER_MINUTE,
        pitch: int = PITCH,
    ) -> list[tuple[str, int]]:
        """Speak ``text`` into ``emit``, 60 ms at a time, and return when all is said.

        Returns:
            Each phoneme in IPA with the sample at which it begins; empty unless asked for.

        Raises:
            EngineFailedError: There is no such voice, or the text was refused.
        """
        data = text.encode()
        with self._lock:
            self._choose(voice, words_a_minute, pitch)
            self._emit, self._failure, self._phonemes = emit, None, []
            status = self._library.espeak_Synth(
                data, len(data) + 1, 0, _POSITION_IN_CHARACTERS, 0, _UTF8, None, None
            )
            phonemes, failure, self._emit, self._failure = self._phonemes, self._failure, None, None
        if failure is not None:
            raise failure
        if status != 0:
            raise EngineFailedError("espeak-ng refused the text.")
        return phonemes

    def _choose(self, voice: str, words_a_minute: int, pitch: int) -> None:
        if self._chosen == (voice, words_a_minute, pitch):
            return
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            self._chosen = ("", 0, 0)
            raise EngineFailedError("espeak-ng cannot load this voice.")
        self._library.espeak_SetParameter(_RATE_PARAMETER, words_a_minute, 0)
        self._library.espeak_SetParameter(_PITCH_PARAMETER, pitch, 0)
        self._chosen = (voice, words_a_minute, pitch)

    def _take(self, samples: Any, count: int, events: Any) -> int:
        """Take a chunk from the library; 1 tells it to stop."""
        emit = self._emit
        if emit is None:
            return 1
        try:
            words = self._words(events)
            if not samples or count <= 0:
                return 0
            chunk = np.frombuffer(ctypes.string_at(samples, 2 * count), np.int16)
            return 0 if emit(chunk, words) else 1
        except BaseException as error:  # Nothing may escape into the library.
            self._failure = error
            return 1

    def _words(self, events: Any) -> list[WordMark]:
        """Return the words that begin in a chunk; keep its phonemes."""
        words = []
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD_EVENT:
                words.append(WordMark(event.sample, event.text_position - 1))
            elif event.type == _PHONEME_EVENT:
                # Up to eight bytes, without an end where all are used.
                name = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                self._phonemes.append((name.decode("utf-8", "ignore"), event.sample))
            index += 1
        return words


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
