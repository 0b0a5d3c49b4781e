"""Speech for tuning and tests: espeak-ng in this process."""

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np

from ensemble.audio.resampler import Resampler
from ensemble.stt.ports import TARGET_RATE, Samples


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice: its name, words a minute and pitch (0 to 99)."""

    name: str
    speed: int = 165
    pitch: int = 50


VOICES = (
    Voice("en-us"),
    Voice("en"),
    Voice("en-us+f3"),
    Voice("en-us+m3", 150, 40),
    Voice("en-gb-x-rp+f2", 175, 55),
    Voice("en-us+m7", 180, 45),
)

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Espeak:
    """The library; it is global to the process, so there is one of these."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng did not start")
        self._pieces: list[bytes] = []
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, text: str, voice: Voice) -> bytes:
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"no voice {voice.name}")
        self._library.espeak_SetParameter(_RATE_PARAMETER, voice.speed, 0)
        self._library.espeak_SetParameter(_PITCH_PARAMETER, voice.pitch, 0)
        self._pieces.clear()
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        return b"".join(self._pieces)


@cache
def _espeak() -> _Espeak:
    return _Espeak()


def say(text: str, voice: Voice = VOICES[0]) -> Samples:
    """Return ``text`` spoken: 16 kHz, -1 to 1, leading and trailing silence cut off."""
    espeak = _espeak()
    samples = np.frombuffer(espeak.say(text, voice), "<i2").astype(np.float32) / 32768
    resampler = Resampler(espeak.rate, TARGET_RATE)
    speech = np.concatenate([resampler.push(samples), resampler.flush()])
    loud = np.flatnonzero(np.abs(speech) > 0.003)
    return speech[loud[0] : loud[-1] + 1] if len(loud) else speech[:0]


def in_room(
    *speech: Samples,
    rng: np.random.Generator,
    noise: float = 0.002,
    before: float = 0.5,
    pause: float = 0.0,
    after: float = 0.5,
) -> Samples:
    """Return the pieces with silence before, between and after them, and noise over all.

    Args:
        speech: What is said, 16 kHz.
        rng: Where the noise comes from.
        noise: Standard deviation of the noise; 1 is full scale.
        before: Seconds of silence before the first piece.
        pause: Seconds of silence between pieces.
        after: Seconds of silence after the last piece.
    """
    parts = [np.zeros(int(before * 16_000), np.float32)]
    for number, piece in enumerate(speech):
        if number:
            parts.append(np.zeros(int(pause * 16_000), np.float32))
        parts.append(piece)
    parts.append(np.zeros(int(after * 16_000), np.float32))
    whole = np.concatenate(parts)
    return (whole + noise * rng.standard_normal(len(whole))).astype(np.float32)
