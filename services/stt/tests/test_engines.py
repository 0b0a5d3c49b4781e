"""Which engine listens, and what is said when it cannot."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from ensemble.core.errors import EngineFailedError, EngineUnavailableError
from ensemble.stt.adapters.faster_whisper import FasterWhisperRecognizer
from ensemble.stt.adapters.pocketsphinx import PocketsphinxRecognizer
from ensemble.stt.adapters.silero import SileroVoiceDetection
from ensemble.stt.app import SttService, build
from ensemble.stt.engines import choose
from ensemble.stt.grammar.tools import SpokenTool
from ensemble.stt.ports import Request
from ensemble.stt.settings import Settings
from ensemble.testkit.fixtures import build_whisper_folder, speak
from ensemble.testkit.fixtures.recognition_caller import Serve, kinds, transcripts
from ensemble.testkit.fixtures.scripted_recognizer import LoudnessDetection, ScriptedRecognizer

pytestmark = pytest.mark.integration

GREETING = Request("", (SpokenTool("greet", "", ("good morning", "hello there my friend")),))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    build_whisper_folder(models / "tiny")
    return models


def test_auto_takes_pocketsphinx_where_there_is_no_whisper_folder(tmp_path: Path) -> None:
    assert choose(Settings(models=tmp_path)).name == "pocketsphinx"
    assert choose(Settings(models=tmp_path / "absent")).name == "pocketsphinx"


def test_auto_takes_a_whisper_folder(whisper: Path) -> None:
    assert choose(Settings(models=whisper)).name == "faster-whisper"
    assert choose(Settings(models=whisper / "tiny")).name == "faster-whisper"
    assert choose(Settings(models=whisper, engine="pocketsphinx")).name == "pocketsphinx"


def test_an_incomplete_whisper_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.bin").write_bytes(b"x")
    assert choose(Settings(models=tmp_path)).name == "pocketsphinx"
    with pytest.raises(EngineUnavailableError, match=r"tokenizer\.json"):
        choose(Settings(models=tmp_path, engine="faster-whisper"))
    with pytest.raises(EngineUnavailableError, match=r"config\.json"):
        FasterWhisperRecognizer(tmp_path / "broken").load()


def test_a_broken_whisper_folder(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(EngineUnavailableError, match="cannot be read"):
        FasterWhisperRecognizer(tmp_path).load()


async def test_whisper_through_the_service(serve: Serve, whisper: Path) -> None:
    served = await serve(models=whisper)
    assert served.service.engines() == ("faster-whisper", "silero")
    heard = await served.caller(interim_results=True).hear(
        speak("what time is it", lead=0.5, tail=1.0)
    )
    # The weights are random: that it decodes is all that can be asked of it.
    assert kinds(heard) == ["speech_started", "speech_ended", "transcript_done", "done"]
    (done,) = transcripts(heard)
    assert done.language == "en"


async def test_a_service_whose_engine_does_not_load() -> None:
    service = SttService(Settings(), ScriptedRecognizer(broken=True), LoudnessDetection())
    with pytest.raises(EngineUnavailableError):
        await service.start()
    assert service.engines() == ()
    await service.close()


async def test_start_and_close_leave_no_threads() -> None:
    recognizer = ScriptedRecognizer()
    service = SttService(Settings(), recognizer, LoudnessDetection())
    await service.start()
    await service.close()
    assert recognizer.closed
    async with asyncio.timeout(10):
        while any(thread.name.startswith("stt") for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
    assert build(Settings(), channels=None).name == "stt"  # type: ignore[arg-type]


def test_engines_that_were_not_loaded_say_so() -> None:
    with pytest.raises(EngineUnavailableError):
        SileroVoiceDetection().open()
    for recognizer in (PocketsphinxRecognizer(), FasterWhisperRecognizer(Path("x"))):
        with pytest.raises(EngineFailedError):
            recognizer.open(GREETING)


def test_pocketsphinx_listens_to_so_many_at_once() -> None:
    recognizer = PocketsphinxRecognizer(most_utterances=1)
    recognizer.load()
    first = recognizer.open(GREETING)
    with pytest.raises(EngineFailedError):
        recognizer.open(GREETING)
    first.close()
    first.close()
    recognizer.open(GREETING).close()
    recognizer.close()


def test_grammars_come_and_go() -> None:
    recognizer = PocketsphinxRecognizer()
    recognizer.load()
    for number in range(6):
        tools = (SpokenTool("greet", "", (f"hello {'very ' * number}nice xyzzy day",)),)
        utterance = recognizer.open(Request("", tools))
        utterance.push(np.zeros(16_000, np.float32))
        assert utterance.finish().rejected
        utterance.close()
    with pytest.raises(EngineFailedError):
        recognizer.open(Request("", (SpokenTool("t", "", (" ".join(["(a|b) [c]"] * 60_000),)),)))
    recognizer.close()


def test_without_tools_everything_is_rejected() -> None:
    recognizer = PocketsphinxRecognizer()
    recognizer.load()
    utterance = recognizer.open(Request("", ()))
    utterance.push(speak("hello").astype(np.float32) / 32768)
    assert utterance.finish().rejected
    utterance.close()


def test_silero_finds_speech_in_chunks_of_any_size() -> None:
    detection = SileroVoiceDetection()
    detection.load()
    samples = speak("good morning to all of you", lead=0.5, tail=0.5).astype(np.float32) / 32768
    whole = detection.open().push(samples)
    detector = detection.open()
    pieces = [p for first in range(0, len(samples), 333)
              for p in detector.push(samples[first : first + 333])]  # fmt: skip
    np.testing.assert_allclose(pieces, whole, atol=1e-5)
    assert max(whole[:10]) < 0.3
    assert np.mean(whole[20:40]) > 0.7
