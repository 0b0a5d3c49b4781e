"""Audio as it comes from a client: bytes of PCM16 or WAV to 16 kHz mono."""

import struct
from collections.abc import Iterator
from enum import Enum
from typing import Final

import numpy as np

from ensemble.audio.resampler import Resampler
from ensemble.core.errors import InvalidAudioError, UnsupportedAudioFormatError
from ensemble.stt.ports import TARGET_RATE, Samples

LOWEST_RATE: Final = 8_000
HIGHEST_RATE: Final = 192_000

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE
# A subformat that holds a plain format code ends in these bytes.
_SUBFORMAT_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
# Streams of unknown length carry one of these sizes.
_OPEN_ENDED: Final = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Tags before the sound (LIST, bext, id3) are small; more than this is not a header.
_LONGEST_HEADER: Final = 1 << 20


class Encoding(Enum):
    """How samples are coded."""

    PCM_S16LE = "pcm_s16le"
    WAV = "wav"


class AudioReader:
    """Reads one stream of audio, in chunks that may end anywhere.

    Args:
        encoding: How samples are coded.
        rate: Samples a second of one channel; a WAV header decides instead.
        channels: 1 or 2; a WAV header decides instead.

    Attributes:
        rate: Samples a second of the input; 0 until a WAV header has been read.
        samples_read: Samples of one channel read so far, at that rate.

    Raises:
        UnsupportedAudioFormatError: Rate or channels are outside what is supported.
    """

    def __init__(self, encoding: Encoding, rate: int, channels: int) -> None:
        self.rate = 0
        self.samples_read = 0
        self._channels = 0
        self._resampler: Resampler | None = None
        self._rest = b""
        self._header = _WavHeader() if encoding is Encoding.WAV else None
        self._announced: int | None = None
        if self._header is None:
            self._open(rate, channels)

    def push(self, data: bytes) -> Samples:
        """Take bytes; return the 16 kHz mono samples (-1 to 1) that they complete.

        Raises:
            InvalidAudioError: What should be a WAV header is none.
            UnsupportedAudioFormatError: The header names a format that is not supported.
        """
        if self._header is not None:
            found = self._header.push(data)
            if found is None:
                return np.zeros(0, np.float32)
            self._open(found.rate, found.channels)
            self._announced = found.sound_bytes
            data, self._header = found.rest, None
        if self._announced is not None:
            # Chunks after the sound hold no samples.
            data = data[: self._announced]
            self._announced -= len(data)
        assert self._resampler is not None
        data = self._rest + data
        frame = 2 * self._channels
        whole = len(data) // frame * frame
        self._rest = data[whole:]
        samples = np.frombuffer(data, "<i2", whole // 2).astype(np.float32)
        samples *= 1 / 32768
        if self._channels == 2:
            samples = samples.reshape(-1, 2).mean(axis=1)
        self.samples_read += len(samples)
        return self._resampler.push(samples)

    def finish(self) -> Samples:
        """Return the last samples, the input having ended.

        Raises:
            InvalidAudioError: It ended within a WAV header, before the sound that the header
                announced, or within a sample.
        """
        if self._header is not None:
            raise InvalidAudioError(
                "The WAV header is cut off."
                if self._header.begun
                else "No audio came: the WAV file is empty."
            )
        if self._announced:
            raise InvalidAudioError(
                f"The WAV file is truncated: {self._announced} bytes of sound are missing."
            )
        if self._rest:
            raise InvalidAudioError("The audio ends within a sample.")
        assert self._resampler is not None
        return self._resampler.flush()

    def rest(self) -> Samples:
        """Return what is left in the filter, whatever state the input ended in."""
        return self._resampler.flush() if self._resampler else np.zeros(0, np.float32)

    def _open(self, rate: int, channels: int) -> None:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UnsupportedAudioFormatError(
                f"A sample rate of {rate} Hz is not supported; use {LOWEST_RATE} to "
                f"{HIGHEST_RATE} Hz."
            )
        if channels not in (1, 2):
            raise UnsupportedAudioFormatError(
                f"{channels} channels are not supported; use mono or stereo."
            )
        self.rate, self._channels = rate, channels
        self._resampler = Resampler(rate, TARGET_RATE)


class _WavFound:
    """What a header says, and the first bytes after it."""

    def __init__(self, rate: int, channels: int, sound_bytes: int | None, rest: bytes) -> None:
        self.rate = rate
        self.channels = channels
        self.sound_bytes = sound_bytes
        self.rest = rest


class _WavHeader:
    """Collects bytes until the sound begins."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def begun(self) -> bool:
        return bool(self._bytes)

    def push(self, data: bytes) -> _WavFound | None:
        self._bytes += data
        head = bytes(self._bytes)
        for expected, at in ((b"RIFF", 0), (b"WAVE", 8)):
            got = head[at : at + 4]
            if got != expected[: len(got)]:
                raise InvalidAudioError("This is not a WAV file.")
        layout: tuple[int, int] | None = None
        for kind, size, start in _chunks(head):
            if kind == b"fmt ":
                if len(head) < start + size:
                    break
                layout = _layout(head[start : start + size])
            elif kind == b"data":
                if layout is None:
                    raise InvalidAudioError("The WAV file has sound before its format.")
                rate, channels = layout
                announced = None if size in _OPEN_ENDED else size
                return _WavFound(rate, channels, announced, head[start:])
        if len(head) > _LONGEST_HEADER:
            raise InvalidAudioError("The WAV header is too long.")
        return None


def _chunks(head: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    while len(head) >= position + 8:
        kind, size = struct.unpack_from("<4sI", head, position)
        yield kind, size, position + 8
        # Chunks begin on even bytes.
        position += 8 + size + (size & 1)


def _layout(body: bytes) -> tuple[int, int]:
    """Return rate and channels of a ``fmt`` chunk."""
    if len(body) < 16:
        raise InvalidAudioError("The format of the WAV file is cut short.")
    code, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", body)
    if code == _EXTENSIBLE and len(body) >= 40 and body[26:40] == _SUBFORMAT_TAIL:
        code = int.from_bytes(body[24:26], "little")
    if code != _PCM or bits != 16:
        raise UnsupportedAudioFormatError("Only WAV files with 16-bit PCM samples are supported.")
    if align != 2 * channels:
        raise InvalidAudioError("The WAV header contradicts itself.")
    return rate, channels
