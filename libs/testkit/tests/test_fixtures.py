"""The fixtures are what they say: speech, a Piper voice, a Whisper folder."""

from pathlib import Path

import numpy as np
import pytest

from ensemble.core.errors import EngineFailedError
from ensemble.testkit.fixtures import build_piper_voice, build_whisper_folder, speak

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
def test_speak_gives_speech_at_the_rate_wanted(rate: int) -> None:
    speech = speak("turn on the kitchen light", rate=rate, lead=0.2, tail=0.3)
    assert speech.dtype == np.int16
    assert 1.3 < len(speech) / rate < 3
    quiet = np.std(speech[: rate // 10].astype(float))
    assert 20 < quiet < 200
    assert np.std(speech[rate // 2 : rate].astype(float)) > 10 * quiet


def test_speak_refuses_an_unknown_voice() -> None:
    with pytest.raises(EngineFailedError):
        speak("hello", voice="nobody")


def test_the_piper_voice_speaks(tmp_path: Path) -> None:
    from piper import PiperVoice

    path = build_piper_voice(tmp_path / "voices")
    audio = np.concatenate(
        [chunk.audio_int16_array for chunk in PiperVoice.load(path).synthesize("What time is it?")]
    )
    assert 0.5 < len(audio) / 22_050 < 2.5
    assert np.std(audio.astype(float)) > 500


def test_the_whisper_folder_runs(tmp_path: Path) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(build_whisper_folder(tmp_path / "w")), device="cpu", cpu_threads=1)
    segments, info = model.transcribe(
        speak("what time is it").astype(np.float32) / 32768, language="en", beam_size=1
    )
    assert info.duration > 0.5
    assert isinstance(list(segments), list)
