"""What the tests of the model router share: a real model with random weights, a scripted one
for what real ones do rarely, and the service as its callers see it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from ensemble.core.errors import EnsembleError
from ensemble.core.ids import new_id
from ensemble.model_router.app import ModelRouterService
from ensemble.model_router.domain import Call, Message, ModelEvent, Role, Tool
from ensemble.model_router.ports import Condition, State
from ensemble.model_router.router import Route, Router
from ensemble.model_router.servicer import ModelRouterServicer
from ensemble.runtime.interceptors.chain import ServerChain
from ensemble.transport.channel import open_channel
from ensemble.transport.inproc.server import InProcessServer
from ensemble.v1 import model_router_service_pb2 as pb
from ensemble.v1 import model_router_service_pb2_grpc as pb_grpc

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<decline>",
)
_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_random_gguf(
    path: Path, *, seed: int = 0, width: int = 64, layers: int = 1, context: int = 2048
) -> Path:
    """Write a llama-shaped GGUF with a byte vocabulary, ChatML and the three markers."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    letters = {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    tokens = [*_SPECIAL, *(letters[b] for b in range(256)), "th"]
    kinds = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.USER_DEFINED] * 3
    kinds += [gguf.TokenType.NORMAL] * 257
    inner = width * 2
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("random")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([int(kind) for kind in kinds])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(_CHATML)
    random = np.random.default_rng(seed)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * 0.05).astype(np.float32))

    add("token_embd.weight", len(tokens), width)
    output = (random.standard_normal((len(tokens), width)) * 0.05).astype(np.float32)
    # What is likeliest is then readable and never ends; a high temperature still brings all.
    output[[0, 1, 2, *(i for i, t in enumerate(tokens[6:], 6) if not "!" <= t <= "~")]] = 0
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        block = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}{name}.weight", np.ones(width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}{name}.weight", width, width)
        add(f"{block}ffn_gate.weight", inner, width)
        add(f"{block}ffn_up.weight", inner, width)
        add(f"{block}ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class ScriptedModel:
    """Says what it is told to; an error in the script is raised where it stands."""

    engine = "scripted"
    context_tokens = 100

    def __init__(
        self, name: str, *script: ModelEvent | EnsembleError | float, can_continue: bool = True
    ) -> None:
        self.name = name
        self.script = script
        self.can_continue = can_continue
        self.state = Condition(State.READY)
        self.calls: list[Call] = []

    def condition(self) -> Condition:
        return self.state

    async def start(self) -> None:
        pass

    async def ready(self, timeout: float) -> bool:
        del timeout
        self.state = Condition(State.READY)
        return True

    async def close(self) -> None:
        pass

    async def chat(self, call: Call) -> AsyncIterator[ModelEvent]:
        self.calls.append(call)
        for step in self.script:
            if isinstance(step, EnsembleError):
                raise step
            if isinstance(step, float):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(call.cancelled.wait(), step)
            else:
                yield step


@pytest.fixture
def scripted() -> type[ScriptedModel]:
    return ScriptedModel


Serve = Callable[[Any], Awaitable[Any]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve models, routes or a whole service in process; returns a stub."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(what: Any) -> Any:
            name = new_id("test")
            server = InProcessServer(name, interceptors=[ServerChain([])])
            if isinstance(what, ModelRouterService):
                what.add_to(server)
                await what.start()
                stack.push_async_callback(what.close)
            else:
                routes = [r if isinstance(r, Route) else Route(r) for r in what]
                servicer = ModelRouterServicer(Router(lambda: routes))
                pb_grpc.add_ModelRouterServiceServicer_to_server(servicer, server)
            await server.start()
            stack.push_async_callback(server.stop, 0)
            channel = open_channel(f"inproc:{name}")
            stack.push_async_callback(channel.close)
            return pb_grpc.ModelRouterServiceStub(channel)

        yield start


@pytest.fixture
def ask() -> Callable[..., Awaitable[list[pb.ChatResponse]]]:
    """Send a start (and more requests) and return all responses but heartbeats."""

    async def collect(stub: Any, start: pb.ChatStart, *more: pb.ChatRequest) -> list[Any]:
        async def requests() -> AsyncIterator[pb.ChatRequest]:
            yield pb.ChatRequest(start=start, event_id="the-start")
            for request in more:
                yield request

        async with asyncio.timeout(60):
            responses = [r async for r in stub.Chat(requests())]
        return [r for r in responses if r.WhichOneof("event") != "heartbeat"]

    return collect


def _tool(name: str, properties: dict[str, Any], required: Sequence[str] = ()) -> Tool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return Tool(name, f"The tool {name}.", json.dumps(schema))


@pytest.fixture
def tool() -> Callable[..., Tool]:
    return _tool


@pytest.fixture
def said() -> Callable[[str], Call]:
    """Return a call with one user message and whatever else."""

    def make(text: str, **more: Any) -> Call:
        return Call((Message(Role.USER, text),), **more)

    return make


@pytest.fixture(scope="session")
def random_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_gguf(tmp_path_factory.mktemp("gguf") / "random.gguf")
