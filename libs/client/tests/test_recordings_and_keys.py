import io
import wave
from pathlib import Path

import pytest

from ensemble.client.answers import Answer
from ensemble.client.key import default_api_key
from ensemble.client.voice import SpokenAnswer, read_wav
from ensemble.core.errors import ConfigurationError, InvalidAudioError

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


def test_of_several_keys_the_first_is_used_without_its_name(tmp_path: Path) -> None:
    home = {"ENSEMBLE_HOME": str(tmp_path)}
    (tmp_path / "api-key").write_text("\n# made here\nens_file local\r\nens_x alice\n")
    assert default_api_key(home) == "ens_file"
    (tmp_path / "api-key").write_text("# none yet\n")
    assert default_api_key(home) == ""


@pytest.mark.parametrize("key", ["ens_ä", "two words", "a\nb"])
def test_what_cannot_be_sent_is_no_key(key: str, tmp_path: Path) -> None:
    environ = {"ENSEMBLE_HOME": str(tmp_path), "ENSEMBLE_API_KEY": key}
    with pytest.raises(ConfigurationError, match="ENSEMBLE_API_KEY"):
        default_api_key(environ)
    assert default_api_key({**environ, "ENSEMBLE_API_KEY": " ens_env\n"}) == "ens_env"
