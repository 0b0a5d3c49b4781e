"""The OpenAI adapter against a server that behaves badly on demand."""

import asyncio
import json

import pytest

from ensemble.core.errors import (
    ConfigurationError,
    ContextTooLongError,
    EngineFailedError,
    InvalidArgumentError,
    RateLimitedError,
)
from ensemble.model_router.adapters.openai import OpenAiModel
from ensemble.model_router.domain import (
    Call,
    Finished,
    Message,
    Role,
    StopReason,
    TextDelta,
    TokenUsage,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from ensemble.model_router.ports import State

pytestmark = pytest.mark.unit


class ScriptedServer:
    """Answers each chat with the next reply of its script, the last one again and again.

    A reply is a status, the parts of a stream of events, or a number of seconds to wait;
    "cut" drops the connection in the middle.
    """

    def __init__(self):
        self.replies = []
        self.requests = []
        self.models = ["the-model"]

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            sizes = [line for line in head.lower().split("\r\n") if "content-length" in line]
            body = await reader.readexactly(int(sizes[0].split(":")[1])) if sizes else b"{}"
            if head.startswith("GET /v1/models"):
                data = {"data": [{"id": name} for name in self.models]}
                await self._plain(writer, 200, json.dumps(data))
                return
            self.requests.append((head, json.loads(body)))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if reply and isinstance(reply[0], int):
                await self._plain(writer, *reply)
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"connection: close\r\n\r\n")
            for part in reply:
                if part == "cut":
                    writer.transport.abort()
                    return
                if isinstance(part, float):
                    await asyncio.sleep(part)
                    continue
                if not isinstance(part, str | bytes):
                    part = f"data: {json.dumps(part)}\n\n"
                writer.write(part if isinstance(part, bytes) else part.encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _plain(self, writer, status, text="", headers=""):
        data = text.encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(data)}\r\n"
            "connection: close\r\n\r\n".encode()
            + data
        )
        await writer.drain()


def chunk(finish=None, **delta):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


USAGE = {
    "choices": [],
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8},
    },
}
END = (chunk("stop"), USAGE, "data: [DONE]\n\n")
HELLO = (chunk(role="assistant"), chunk(content="Hel"), chunk(content="lo."), *END)


@pytest.fixture
async def server():
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def model(server):
    model = OpenAiModel("", server.url, api_key="secret-key", temperature=0.0, timeout=2)
    await model.start()
    yield model
    await model.close()


async def events_of(model, call):
    async with asyncio.timeout(30):
        return [event async for event in model.chat(call)]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_text_and_usage(server, model, said):
    server.replies = [HELLO]
    events = await events_of(model, said("hi", max_output_tokens=9, stop=("x",), seed=4))
    assert text_of(events) == "Hello."
    assert events[-1] == Finished(StopReason.COMPLETED, TokenUsage(12, 5, 8))
    head, body = server.requests[0]
    assert "authorization: bearer secret-key" in head.lower()
    assert body["model"] == "the-model" == model.name
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert (body["max_tokens"], body["stop"], body["seed"]) == (9, ["x"], 4)
    assert (body["temperature"], body["stream"]) == (0.0, True)


async def test_tool_calls_are_put_together_from_their_parts(server, model, said, tool):
    server.replies = [
        (
            chunk(
                tool_calls=[{"index": 0, "id": "a", "function": {"name": "set", "arguments": ""}}]
            ),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"room":'}}]),
            chunk(tool_calls=[{"index": 1, "id": "", "function": {"name": "now"}}]),
            chunk(tool_calls=[{"index": 0, "function": {"arguments": ' "k"}'}}]),
            chunk("tool_calls"),
            USAGE,
            "data: [DONE]\n\n",
        )
    ]
    events = await events_of(model, said("go", tools=(tool("set", {}), tool("now", {}))))
    first, second = (event for event in events if isinstance(event, ToolCall))
    assert first == ToolCall("a", "set", '{"room": "k"}')
    assert (second.name, second.arguments_json) == ("now", "{}")
    assert second.call_id
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(delta.arguments_json for delta in deltas) == '{"room": "k"}'
    assert events[-1].stop is StopReason.TOOL_CALLS
    names = [entry["function"]["name"] for entry in server.requests[0][1]["tools"]]
    assert names == ["set", "now"]


async def test_calls_and_results_go_back_the_way_the_server_made_them(server, model):
    history = Call(
        (
            Message(Role.USER, "light <tool_call>on"),
            Message(Role.ASSISTANT, calls=(ToolCall("a", "set", '{"x": 1}'),)),
            Message(Role.TOOL, results=(ToolResult("a", '{"ok": true}'),)),
        )
    )
    in_text = '<tool_call>\n{"name": "set", "arguments": {"x": 1}}\n</tool_call>'
    server.replies = [HELLO, (chunk(content=in_text), *END), HELLO]
    await events_of(model, history)
    messages = server.requests[0][1]["messages"]
    assert messages[0]["content"] == "light on"
    assert messages[1]["tool_calls"][0]["function"] == {"name": "set", "arguments": '{"x": 1}'}
    assert messages[2] == {"role": "tool", "tool_call_id": "a", "content": '{"ok": true}'}
    events = await events_of(model, history)
    assert events[-1].stop is StopReason.TOOL_CALLS
    await events_of(model, history)
    assert server.requests[2][1]["messages"][1] == {"role": "assistant", "content": in_text}


@pytest.mark.parametrize(
    "reply",
    [
        (chunk(refusal="I will not."), *END),
        (chunk(content="I will not."), chunk("content_filter")),
        (chunk(content="<decline>I will not."), *END),
    ],
)
async def test_a_refusal_declines(server, model, said, reply):
    server.replies = [reply]
    events = await events_of(model, said("hi"))
    assert text_of(events) == "I will not."
    assert events[-1].declined


async def test_the_limit_of_tokens_is_told(server, model, said):
    server.replies = [(chunk(content="Hel"), chunk("length"))]
    assert (await events_of(model, said("hi")))[-1].stop is StopReason.MAX_OUTPUT_TOKENS


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_passing_troubles_are_tried_again(server, model, said, status):
    server.replies = [(status, "busy", "retry-after: 0.01\r\n"), HELLO]
    assert text_of(await events_of(model, said("hi"))) == "Hello."
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "error", "tries"),
    [
        ((503, "busy"), EngineFailedError, 3),
        ((429, "slow down", "retry-after: 0.01\r\n"), RateLimitedError, 3),
        ((401, "bad key"), ConfigurationError, 1),
        ((400, "maximum context length is 8"), ContextTooLongError, 1),
        ((400, "no such field"), InvalidArgumentError, 1),
        ((404, "no such model"), EngineFailedError, 1),
    ],
)
async def test_lasting_troubles_are_typed_errors(server, model, said, reply, error, tries):
    server.replies = [reply]
    with pytest.raises(error) as raised:
        await events_of(model, said("hi"))
    assert "secret-key" not in str(raised.value)
    assert len(server.requests) == tries


@pytest.mark.parametrize(
    "reply",
    [
        ("data: {broken\n\n",),
        ("data: [1, 2]\n\n",),
        (b"data: \xff\xfe\n\n",),
        ({"error": {"message": "boom"}},),
        ({"choices": [{"delta": {"content": 5}}]},),
        ({"choices": [{"delta": {"tool_calls": [3]}}]},),
        (chunk(tool_calls=[{"index": 0, "function": {"name": "x", "arguments": "{"}}]), *END),
        ("data: " + "x" * 1_200_000,),
        (chunk(content="Hel"),),
        (chunk(content="Hel"), "cut"),
        ("cut",),
        (),
    ],
)
async def test_an_answer_that_breaks_the_protocol_is_a_typed_error(server, model, said, reply):
    server.replies = [reply]
    with pytest.raises(EngineFailedError):
        await events_of(model, said("hi"))
    server.replies = [HELLO]
    assert text_of(await events_of(model, said("hi"))) == "Hello."


async def test_a_server_that_falls_silent_is_a_typed_error(server, said):
    server.replies = [(chunk(content="Hel"), 10.0)]
    model = OpenAiModel("m", server.url, model="m", timeout=0.2)
    await model.start()
    with pytest.raises(EngineFailedError, match="silent"):
        await events_of(model, said("hi"))
    await model.close()


async def test_a_character_cut_in_two_by_the_network_is_whole_again(server, model, said):
    line = f"data: {json.dumps(chunk(content='Grüße, 世界'), ensure_ascii=False)}\n\n".encode()
    server.replies = [(*(line[n : n + 1] for n in range(len(line))), *END)]
    assert text_of(await events_of(model, said("hi"))) == "Grüße, 世界"


async def test_a_cancel_ends_the_answer_in_order(server, model, said):
    server.replies = [(chunk(content="Hel"), 20.0, *END)]
    call = said("hi")
    events = []
    async with asyncio.timeout(10):
        async for event in model.chat(call):
            events.append(event)
            call.cancelled.set()
    assert events[-1].stop is StopReason.CANCELLED


async def test_a_server_that_is_away_is_unavailable_until_it_answers(server, said):
    url = server.url
    model = OpenAiModel("", "http://127.0.0.1:9", timeout=1)
    await model.start()
    assert model.condition().state is State.UNAVAILABLE
    assert "cannot be reached" in model.condition().reason
    await model.close()
    server.models = []
    model = OpenAiModel("", url, timeout=1)
    await model.start()
    assert "lists no models" in model.condition().reason
    server.models = ["models/late.gguf"]
    async with asyncio.timeout(20):
        while model.condition().state is not State.READY:
            await asyncio.sleep(0.05)
    assert model.name == "late"
    await model.close()


async def test_a_connection_that_is_refused_is_a_typed_error(said):
    model = OpenAiModel("m", "http://127.0.0.1:9/v1", model="m", timeout=1)
    await model.start()
    with pytest.raises(EngineFailedError, match="cannot be reached"):
        await events_of(model, said("hi"))
    await model.close()
