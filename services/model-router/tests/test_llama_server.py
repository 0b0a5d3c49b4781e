"""A real OpenAI-compatible server, started as a person would, at ``LLM_URL``."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from importlib import resources

import httpx
import pytest

from ensemble.model_router.app import ModelRouterService
from ensemble.model_router.settings import Settings
from ensemble.v1 import common_pb2, tool_pb2
from ensemble.v1 import model_router_service_pb2 as pb

pytestmark = pytest.mark.integration

SET_DEVICE = tool_pb2.ToolSpec(
    name="set_device",
    description="Switches a device.",
    input_schema_json=json.dumps(
        {
            "type": "object",
            "properties": {
                "room": {"type": "string", "enum": ["kitchen", "bedroom"]},
                "device": {"type": "string", "enum": ["light", "fan"]},
                "state": {"type": "string", "enum": ["on", "off"]},
            },
            "required": ["room", "device", "state"],
        }
    ),
)


@pytest.fixture(scope="module")
def household():
    embedded = resources.files("ensemble.model_router") / "embedded" / "household.gguf"
    with resources.as_file(embedded) as path:
        yield path


@pytest.fixture
async def llm_url(household):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable, "-m", "llama_cpp.server", "--model", str(household), "--host",
            "127.0.0.1", "--port", str(port), "--n_ctx", "1024", "--n_threads", "1",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    await client.get(f"{url}/v1/models")
                    break
                except httpx.HTTPError:
                    assert server.poll() is None
                    await asyncio.sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


async def turn_on_the_light(stub, ask):
    """Ask for the light, answer the model's call, and return its last word."""
    messages = [pb.ChatMessage(role=pb.ROLE_USER, text="turn on the kitchen light")]
    responses = await ask(stub, pb.ChatStart(messages=messages, tools=[SET_DEVICE]))
    assert responses[-1].done.stop_reason == common_pb2.STOP_REASON_TOOL_CALLS
    (call,) = (r.tool_call_done for r in responses if r.HasField("tool_call_done"))
    assert call.name == "set_device"
    arguments = {"room": "kitchen", "device": "light", "state": "on"}
    assert json.loads(call.arguments_json) == arguments
    result = tool_pb2.ToolResult(call_id=call.call_id, result_json=json.dumps(arguments))
    messages += [
        pb.ChatMessage(role=pb.ROLE_ASSISTANT, tool_calls=[call]),
        pb.ChatMessage(role=pb.ROLE_TOOL, tool_results=[result]),
    ]
    responses = await ask(stub, pb.ChatStart(messages=messages, tools=[SET_DEVICE]))
    assert responses[-1].done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    return next(r.text_done.text for r in responses if r.HasField("text_done"))


async def test_the_embedded_model_uses_tools_and_declines(tmp_path, serve, ask):
    service = ModelRouterService(Settings(models=tmp_path))
    stub = await serve(service)
    assert service.engines() == ("llama.cpp:household",)
    answer = await turn_on_the_light(stub, ask)
    assert "kitchen" in answer
    assert "<" not in answer
    question = pb.ChatMessage(role=pb.ROLE_USER, text="what is the capital of France")
    responses = await ask(stub, pb.ChatStart(messages=[question], tools=[SET_DEVICE]))
    assert responses[-1].done.outcome == common_pb2.OUTCOME_DECLINED


async def test_a_decline_that_is_gone_on_with_is_still_a_decline(tmp_path, serve, ask):
    stub = await serve(ModelRouterService(Settings(models=tmp_path, llama_mode="inline")))
    question = pb.ChatMessage(role=pb.ROLE_USER, text="what is the capital of France")
    whole = await ask(stub, pb.ChatStart(messages=[question], tools=[SET_DEVICE]))
    text = next(r.text_done.text for r in whole if r.HasField("text_done"))
    committed = text[: text.index(" ", 12)]
    start = pb.ChatStart(messages=[question], tools=[SET_DEVICE], committed_text=committed)
    rest = await ask(stub, start)
    assert committed + rest[-2].text_done.text == text
    assert rest[-1].done.outcome == common_pb2.OUTCOME_DECLINED


async def test_a_server_at_llm_url_uses_tools_as_the_embedded_model_does(
    tmp_path, serve, ask, llm_url
):
    remote = ModelRouterService(Settings(models=tmp_path, local=False, llm_url=llm_url))
    stub = await serve(remote)
    assert remote.engines() == ("openai:household",)
    local = await serve(ModelRouterService(Settings(models=tmp_path)))
    assert await turn_on_the_light(stub, ask) == await turn_on_the_light(local, ask)


async def test_a_dropped_in_model_answers_before_the_embedded_one(tmp_path, serve, ask, household):
    shutil.copy(household, tmp_path / "mine.gguf")
    service = ModelRouterService(Settings(models=tmp_path, llama_mode="inline"))
    stub = await serve(service)
    assert service.engines() == ("llama.cpp:mine", "llama.cpp:household")
    assert "kitchen" in await turn_on_the_light(stub, ask)


async def test_a_dead_server_is_stood_in_for_by_the_embedded_model(tmp_path, serve, ask, llm_url):
    service = ModelRouterService(Settings(models=tmp_path, llm_url=llm_url))
    stub = await serve(service)
    assert service.engines() == ("openai:household", "llama.cpp:household")
    broken = Settings(models=tmp_path, llm_url="http://127.0.0.1:9")
    stub = await serve(ModelRouterService(broken))
    assert "kitchen" in await turn_on_the_light(stub, ask)
