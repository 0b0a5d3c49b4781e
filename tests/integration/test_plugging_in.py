"""Bigger parts are plugged in without a change: a server, a GGUF, a Whisper folder, a voice."""

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from ensemble.testkit.fixtures import build_piper_voice, build_whisper_folder
from ensemble.testkit.ports import free_port
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration

TOPOLOGY = "inproc"
"""Engines do not know the placement; one is enough."""

HOUSEHOLD = Path(str(resources.files("ensemble.model_router") / "embedded" / "household.gguf"))


@pytest.fixture(scope="module")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real OpenAI-compatible server with a model; returns its base URL."""
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "llama_cpp.server", "--model", str(HOUSEHOLD),
                "--model_alias", "house", "--host", "127.0.0.1", "--port", str(port),
            ],
            stdout=out, stderr=out,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/models", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


async def _engine(stack: Stack, service: str) -> str:
    _, out, _ = await stack.command("status", "--json")
    rows = {row["name"]: row["engine"] for row in json.loads(out)["services"]}
    return str(rows[service])


async def test_an_openai_compatible_server(own_stack: Stack, llama_server: str) -> None:
    own_stack.environ["LLM_URL"] = llama_server
    await own_stack.start()
    answer = await own_stack.ask("turn on the kitchen light")
    assert answer["tools"][0]["name"] == "set_device"
    assert "openai" in await _engine(own_stack, "model-router")


async def test_a_second_gguf(own_stack: Stack) -> None:
    models = own_stack.home / "models"
    models.mkdir(parents=True)
    shutil.copy(HOUSEHOLD, models / "butler.gguf")
    await own_stack.start()
    answer = await own_stack.ask("turn on the kitchen light")
    assert answer["tools"][0]["name"] == "set_device"
    assert answer["model"] == "butler"
    assert "llama.cpp:butler" in await _engine(own_stack, "model-router")


async def test_without_any_model_an_answer_fails_and_says_why(
    own_stack: Stack, tmp_path: Path
) -> None:
    model = tmp_path / "only.gguf"
    shutil.copy(HOUSEHOLD, model)
    registry = tmp_path / "registry.yaml"
    registry.write_text(f"models:\n  - name: only\n    adapter: llama.cpp\n    path: {model}\n")
    own_stack.environ["ENSEMBLE_MODEL_ROUTER_REGISTRY"] = str(registry)
    model.unlink()
    await own_stack.start()
    status, _, err = await own_stack.command("ask", "hello")
    assert status == 1
    assert "MODEL_UNAVAILABLE" in err
    shutil.copy(HOUSEHOLD, model)
    for _ in range(40):
        status, out, _ = await own_stack.command("ask", "hello")
        if status == 0:
            assert out.strip()
            return
    pytest.fail(f"the model was not picked up again: {own_stack.log_tail()}")


async def test_a_whisper_folder_and_a_piper_voice(own_stack: Stack, tmp_path: Path) -> None:
    models = own_stack.home / "models"
    models.mkdir(parents=True)
    build_whisper_folder(models / "whisper-random")
    build_piper_voice(models / "voices")
    await own_stack.start()
    assert (await _engine(own_stack, "stt")).startswith("faster-whisper")
    assert (await _engine(own_stack, "tts")).startswith("piper")


async def test_the_trace_of_an_answer_shows_the_router_s_tokens(
    own_stack: Stack, tmp_path: Path
) -> None:
    traces = tmp_path / "traces.jsonl"
    own_stack.environ["ENSEMBLE_TRACES"] = f"file:{traces}"
    await own_stack.start()
    await own_stack.ask("turn on the kitchen light")
    own_stack.stop()
    spans = [json.loads(line) for line in traces.read_text().splitlines()]
    chats = [span for span in spans if "gen_ai.usage.output_tokens" in span["attributes"]]
    assert chats
    assert all(span["attributes"]["gen_ai.usage.output_tokens"] > 0 for span in chats)
    assert "kitchen" not in traces.read_text()
    turn = {span["trace_id"] for span in chats}
    assert len(turn) == 1
    services = {span["name"].rsplit("/", 1)[0] for span in spans if span["trace_id"] in turn}
    assert any("GatewayService" in name for name in services)
