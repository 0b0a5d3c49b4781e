"""A spoken question gives a spoken answer."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble.testkit.fixtures import speak
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration


def _write(
    path: Path, pcm: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int, ch: int
) -> None:
    silence = np.zeros(rate // 3, np.int16)
    samples = np.concatenate([silence, pcm, silence])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(ch)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, ch).tobytes())


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (48000, 2), (22050, 1)])
async def test_talk_answers_by_voice(
    stack: Stack, tmp_path: Path, rate: int, channels: int
) -> None:
    question, answer = tmp_path / "in.wav", tmp_path / "out.wav"
    said: dict[str, Any] = {}
    # No two takes of the synthesiser are the same, and the recogniser may reject one of them: a
    # person would say it again.
    for _ in range(3):
        _write(question, speak("is the kitchen light on", rate=rate), rate, channels)
        status, out, err = await stack.command("talk", "--json", str(question), "-o", str(answer))
        assert status == 0, f"{err}\n{stack.log_tail()}"
        said = json.loads(out)
        with wave.open(str(answer)) as file:
            seconds = file.getnframes() / file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        # Also a take that was rejected is answered, and no answer is cut short.
        assert seconds > 0.5, f"{said}\n{err}\n{stack.log_tail()}"
        assert np.abs(samples).max() > 1000
        if said["transcript"]:
            break
    assert said["transcript"] == "is the kitchen light on"
    assert said["tools"][0]["arguments"] == {"room": "kitchen", "device": "light"}


async def test_telephone_speech_is_understood_or_rejected_never_mistaken(
    stack: Stack, tmp_path: Path
) -> None:
    """At 8 kHz half of what the acoustic model listens for is missing."""
    question = tmp_path / "in.wav"
    _write(question, speak("turn on the kitchen light", rate=8000), 8000, 1)
    status, out, err = await stack.command("talk", "--json", str(question))
    assert status == 0, f"{err}\n{stack.log_tail()}"
    said = json.loads(out)
    assert said["transcript"] in ("turn on the kitchen light", "")
    assert said["declined"] is (said["transcript"] == "")


async def test_speech_outside_the_grammar_runs_no_tool(stack: Stack, tmp_path: Path) -> None:
    question = tmp_path / "in.wav"
    _write(question, speak("the committee postponed its decision until february"), 16000, 1)
    status, out, err = await stack.command("talk", "--json", str(question))
    assert status == 0, f"{err}\n{stack.log_tail()}"
    said = json.loads(out)
    assert said["transcript"] == ""
    assert said["tools"] == []
    assert said["declined"] is True


async def test_a_truncated_recording_is_refused(stack: Stack, tmp_path: Path) -> None:
    question = tmp_path / "in.wav"
    _write(question, speak("what time is it"), 16000, 1)
    question.write_bytes(question.read_bytes()[:-4000])
    status, _, err = await stack.command("talk", str(question))
    assert status == 1
    assert "INVALID_AUDIO" in err


async def test_an_empty_recording_is_refused(stack: Stack, tmp_path: Path) -> None:
    question = tmp_path / "in.wav"
    with wave.open(str(question), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
    status, _, err = await stack.command("talk", str(question))
    assert status == 1
    assert "INVALID_AUDIO" in err
