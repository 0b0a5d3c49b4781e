import io
import wave
from pathlib import Path

import pytest

from ensemble.client.answers import Answer
from ensemble.client.key import default_api_key
from ensemble.client.voice import SpokenAnswer, read_wav
from ensemble.core.errors import InvalidAudioError

pytestmark = pytest.mark.unit


def _wav(frames: int = 100, *, width: int = 2, channels: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(bytes(frames * width * channels))
    return out.getvalue()


def test_a_recording_is_read_whole() -> None:
    recording = read_wav(_wav())
    assert (recording.rate, recording.channels, len(recording.pcm)) == (8000, 2, 400)


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"not a wave file at all", _wav()[:-3], _wav()[:20], _wav(0), _wav(width=1)],
)
def test_a_bad_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidAudioError):
        read_wav(data)


def test_a_spoken_answer_becomes_a_wav_file() -> None:
    spoken = SpokenAnswer(Answer("ses", "hi"), "hello", b"\1\0" * 50, 22050)
    back = read_wav(spoken.as_wav())
    assert (back.pcm, back.rate, back.channels) == (b"\1\0" * 50, 22050, 1)
    assert spoken.as_json()["transcript"] == "hello"


def test_the_key_comes_from_the_environment_or_the_home(tmp_path: Path) -> None:
    home = {"ENSEMBLE_HOME": str(tmp_path)}
    assert default_api_key(home) == ""
    (tmp_path / "api-key").write_text("ens_file\n")
    assert default_api_key(home) == "ens_file"
    assert default_api_key({**home, "ENSEMBLE_API_KEY": "ens_env"}) == "ens_env"
