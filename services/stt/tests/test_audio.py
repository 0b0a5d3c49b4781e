"""Audio intake: any chunks, any rate, and what is no audio."""

import struct

import numpy as np
import pytest

from ensemble.core.errors import InvalidAudioError, UnsupportedAudioFormatError
from ensemble.stt.audio import AudioReader, Encoding
from ensemble.stt.ports import Samples

pytestmark = pytest.mark.unit


def _tone(rate: int, hertz: float = 1000, seconds: float = 1.0) -> Samples:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


def _pcm(samples: Samples) -> bytes:
    return (samples * 32000).astype("<i2").tobytes()


def _wav(
    sound: bytes, *, rate: int = 16_000, channels: int = 1, bits: int = 16, code: int = 1,
    announced: int | None = None, before: bytes = b"", tail: bytes = b"",
) -> bytes:  # fmt: skip
    align = channels * bits // 8
    layout = struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits) + tail
    size = len(sound) if announced is None else announced
    return b"".join(
        [
            b"RIFF" + struct.pack("<I", 4) + b"WAVE",
            before,
            b"fmt " + struct.pack("<I", len(layout)) + layout,
            b"data" + struct.pack("<I", size) + sound,
        ]
    )


def _read(reader: AudioReader, data: bytes, sizes: tuple[int, ...] = (1 << 20,)) -> Samples:
    parts, position, turn = [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        parts.append(reader.push(data[position : position + size]))
        position, turn = position + size, turn + 1
    return np.concatenate([*parts, reader.finish()])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_comes_out_at_16_khz(rate: int) -> None:
    made = _read(AudioReader(Encoding.PCM_S16LE, rate, 1), _pcm(_tone(rate)), (1, 2, 999, 4096))
    assert len(made) == 16_000
    expected = _tone(16_000) * (32000 / 32768)
    assert np.abs(made - expected)[200:-200].max() < 0.002


def test_stereo_is_mixed() -> None:
    left, right = _tone(48_000), np.zeros(48_000, np.float32)
    both = np.stack([left, right], axis=1).reshape(-1)
    reader = AudioReader(Encoding.PCM_S16LE, 48_000, 2)
    made = _read(reader, _pcm(both), (7, 1, 3))
    assert len(made) == 16_000
    assert abs(np.abs(made).max() - 0.5) < 0.03
    assert reader.samples_read == 48_000


@pytest.mark.parametrize("sizes", [(1,), (3, 5, 44, 1), (1 << 16,)])
def test_a_wav_says_itself_what_it_is(sizes: tuple[int, ...]) -> None:
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    data = _wav(_pcm(_tone(8_000)), rate=8_000, before=extra) + b"LIST\x04\0\0\0tail"
    reader = AudioReader(Encoding.WAV, 0, 0)
    assert len(_read(reader, data, sizes)) == 16_000
    assert (reader.rate, reader.samples_read) == (8_000, 8_000)


def test_wav_extensible_and_of_unknown_length() -> None:
    subformat = struct.pack("<HHI", 22, 16, 0) + bytes.fromhex("0100000000001000800000aa00389b71")
    data = _wav(_pcm(_tone(16_000)), code=0xFFFE, tail=subformat, announced=0xFFFFFFFF)
    assert len(_read(AudioReader(Encoding.WAV, 0, 0), data, (100,))) == 16_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        _wav(b"")[:30],
        _wav(b"\0\0" * 100, announced=300),
        _wav(b"\0\0\0", announced=3),
        b"OggS" + bytes(100),
        b"RIFF\0\0\0\0AVI " + bytes(100),
        b"RIFF\0\0\0\0WAVEdata\4\0\0\0\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \4\0\0\0\1\0\1\0data\4\0\0\0\0\0\0\0",
        b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(2_000_000),
    ],
)
def test_what_is_no_wav(data: bytes) -> None:
    with pytest.raises(InvalidAudioError):
        _read(AudioReader(Encoding.WAV, 0, 0), data, (1000,))


@pytest.mark.parametrize(
    "data",
    [
        _wav(b"\0" * 8, bits=8),
        _wav(b"\0" * 8, bits=32, code=3),
        _wav(b"\0" * 8, rate=4_000),
        _wav(b"\0" * 8, rate=400_000),
        _wav(b"\0" * 12, channels=6),
        _wav(b"\0" * 8, code=7),
    ],
)
def test_wav_formats_that_are_not_supported(data: bytes) -> None:
    with pytest.raises(UnsupportedAudioFormatError):
        _read(AudioReader(Encoding.WAV, 0, 0), data)


def test_a_header_that_contradicts_itself() -> None:
    data = bytearray(_wav(b"\0" * 8))
    data[32:34] = b"\x07\x00"
    with pytest.raises(InvalidAudioError):
        _read(AudioReader(Encoding.WAV, 0, 0), bytes(data))


def test_pcm_that_ends_within_a_sample() -> None:
    with pytest.raises(InvalidAudioError):
        _read(AudioReader(Encoding.PCM_S16LE, 16_000, 2), b"\0\0\0")


def test_what_was_heard_before_the_end_is_kept() -> None:
    reader = AudioReader(Encoding.WAV, 0, 0)
    heard = reader.push(_wav(_pcm(_tone(8_000)), rate=8_000, announced=99_999))
    with pytest.raises(InvalidAudioError):
        reader.finish()
    assert len(heard) + len(reader.rest()) == 16_000
