"""Which engine is loaded, and Piper at work."""

import json
from pathlib import Path

import numpy as np
import pytest

from ensemble.core.errors import EngineUnavailableError
from ensemble.runtime.settings import load
from ensemble.testkit.fixtures.scripted_synthesizer import ScriptedSynthesizer
from ensemble.testkit.fixtures.synthesis_caller import Serve, frames, kinds, samples
from ensemble.tts.app import TtsService, build
from ensemble.tts.engines import start_first
from ensemble.tts.settings import Settings
from ensemble.v1 import tts_service_pb2

pytestmark = pytest.mark.contract


class NoChannels:
    def get(self, peer: str) -> None:
        raise AssertionError(f"tts has no peer {peer}")


def settings(**variables: str) -> Settings:
    return load(Settings, "ENSEMBLE_TTS_", {f"ENSEMBLE_TTS_{k}": v for k, v in variables.items()})


async def test_without_a_voice_file_espeak_speaks(tmp_path: Path) -> None:
    service = build(settings(MODELS=str(tmp_path)), NoChannels())  # type: ignore[arg-type]
    await service.start()
    assert service.engines() == ("espeak-ng:en-us",)
    await service.close()
    await service.start()
    assert service.engines() == ("espeak-ng:en-us",)
    await service.close()


async def test_a_piper_voice_dropped_into_the_folder_speaks(
    serve: Serve, piper_folder: Path
) -> None:
    served = await serve(models=piper_folder)
    assert served.service.engines() == ("piper:en_US-test",)
    caller = served.caller()
    started = (await caller.open()).started
    text = "Good day Dr. Smith. It is on."
    await caller.text(text)
    await caller.call.done_writing()
    responses = await caller.rest()

    assert started.engine == "piper"
    assert started.granularity == tts_service_pb2.SPAN_GRANULARITY_CLAUSE
    spans = [(f.span.start, f.span.end) for f in frames(responses)]
    assert sorted(set(spans)) == [(0, 19), (19, len(text))]
    audio = samples(responses).astype(float)
    assert 1.0 < len(audio) / 22_050 < 6
    assert np.std(audio) > 500


async def test_piper_keeps_to_the_speed_and_the_sample_rate(
    serve: Serve, piper_folder: Path
) -> None:
    served = await serve(models=piper_folder, engine="piper")
    normal = samples(await served.caller(sample_rate_hertz=16_000).say("What time is it?"))
    fast = samples(await served.caller(sample_rate_hertz=16_000, rate=2).say("What time is it?"))
    assert len(fast) == pytest.approx(len(normal) / 2, rel=0.05)


@pytest.mark.parametrize("text", ["😀", "[[", "'", "\u200b"])
async def test_piper_says_nothing_where_there_is_nothing_to_say(
    serve: Serve, piper_folder: Path, text: str
) -> None:
    served = await serve(models=piper_folder, engine="piper")
    assert kinds(await served.caller().say(text)) == ["clause_done", "done"]


async def test_the_speakers_of_a_piper_voice_are_voices(serve: Serve, piper_folder: Path) -> None:
    config = piper_folder / "en_US-test.onnx.json"
    before = config.read_text()
    described = json.loads(before) | {"num_speakers": 2, "speaker_id_map": {"ann": 0, "bob": 1}}
    config.write_text(json.dumps(described))
    try:
        served = await serve(models=piper_folder, engine="piper")
        listed = await served.stub.ListVoices(tts_service_pb2.ListVoicesRequest())
    finally:
        config.write_text(before)
    assert [v.name for v in listed.voices] == ["en_US-test", "en_US-test/ann", "en_US-test/bob"]
    assert {v.language for v in listed.voices} == {"en-US"}


async def test_a_damaged_voice_is_passed_over(tmp_path: Path, piper_folder: Path) -> None:
    folder = tmp_path / "voices"
    folder.mkdir()
    config = (piper_folder / "en_US-test.onnx.json").read_text()
    (folder / "broken.onnx").write_bytes(b"not a model")
    (folder / "broken.onnx.json").write_text(config)
    (folder / "lone.onnx").write_bytes(b"a model without its description")
    service = TtsService(settings(MODELS=str(tmp_path)))
    await service.start()
    assert service.engines() == ("espeak-ng:en-us",)
    await service.close()

    only = TtsService(settings(MODELS=str(tmp_path), ENGINE="piper"))
    with pytest.raises(EngineUnavailableError, match="broken"):
        await only.start()
    await only.close()

    (folder / "broken.onnx.json").write_text("{")
    with pytest.raises(EngineUnavailableError, match="no readable Piper voice"):
        await only.start()


async def test_an_unknown_default_voice_is_refused_at_start(piper_folder: Path) -> None:
    for engine in ("piper", "espeak-ng"):
        service = TtsService(settings(MODELS=str(piper_folder), ENGINE=engine, VOICE="nobody"))
        with pytest.raises(EngineUnavailableError, match="ENSEMBLE_TTS_VOICE"):
            await service.start()


async def test_engines_that_do_not_load_are_closed() -> None:
    broken, works = ScriptedSynthesizer(broken=True), ScriptedSynthesizer(name="second")
    engine = await start_first([broken, works])
    assert engine.name == "second"
    assert broken.closed
    assert not works.closed
    await engine.close()
    assert works.closed
    with pytest.raises(EngineUnavailableError):
        await start_first([broken])
