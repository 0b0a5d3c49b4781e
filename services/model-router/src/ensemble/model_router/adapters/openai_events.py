"""OpenAI's chat completions: the request for a call, and what its stream says."""

import json
from collections.abc import Iterator
from typing import Any

from ensemble.core.errors import EngineFailedError, InvalidArgumentError
from ensemble.core.ids import new_id
from ensemble.model_router.adapters.answer import Answer
from ensemble.model_router.domain import (
    Call,
    Message,
    ModelEvent,
    Role,
    StopReason,
    TokenUsage,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from ensemble.model_router.markers import format_call, strip_markers

_MAX_CALLS = 64


def request_body(
    call: Call, model: str, *, temperature: float | None, calls_as_text: bool
) -> dict[str, Any]:
    """Return the JSON body that asks for ``call``.

    Args:
        call: What to ask.
        model: The provider's name of the model.
        temperature: Used where the call names none.
        calls_as_text: The server does not know tool calls apart from text, so earlier ones
            are written into the text, the way the model wrote them.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [m for message in call.messages for m in _message(message, calls_as_text)],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if call.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": _schema(tool),
                },
            }
            for tool in call.tools
        ]
    chosen = temperature if call.temperature is None else call.temperature
    optional = {
        "temperature": chosen,
        "max_tokens": call.max_output_tokens or None,
        "stop": list(call.stop) or None,
        "seed": call.seed,
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _schema(tool: Tool) -> Any:
    try:
        return json.loads(tool.schema_json or "{}")
    except ValueError:
        raise InvalidArgumentError(f"The schema of tool {tool.name} is not JSON.") from None


def _message(message: Message, calls_as_text: bool) -> list[dict[str, Any]]:
    if message.role is Role.TOOL:
        return [
            {"role": "tool", "tool_call_id": r.call_id, "content": r.content_json}
            for r in message.results
        ]
    text = strip_markers(message.text)
    if not message.calls:
        return [{"role": message.role.value, "content": text}]
    if calls_as_text:
        written = (format_call(c.name, c.arguments_json) for c in message.calls)
        return [{"role": "assistant", "content": "\n".join((*([text] if text else []), *written))}]
    calls = [
        {
            "id": c.call_id,
            "type": "function",
            "function": {"name": c.name, "arguments": c.arguments_json},
        }
        for c in message.calls
    ]
    return [{"role": "assistant", "content": text, "tool_calls": calls}]


class StreamReader:
    """Follows the chunks of one answer.

    Args:
        call: What was asked.
    """

    def __init__(self, call: Call) -> None:
        self._answer = Answer(call)
        self._calls: dict[int, _Call] = {}
        self._finish = ""
        self._usage: TokenUsage | None = None
        self._chunks = 0
        self.called_in_text = False

    @property
    def may_stop(self) -> bool:
        """Nothing more can come of it."""
        return self._answer.may_stop

    @property
    def finished(self) -> bool:
        """The server said why it stopped."""
        return bool(self._finish)

    def chunk(self, data: str) -> Iterator[ModelEvent]:
        """Take the data of one event.

        Raises:
            EngineFailedError: It is not what a chat completion consists of.
        """
        try:
            body = json.loads(data)
            if body.get("error"):
                raise EngineFailedError("The model's server reported an error.")
            usage = body.get("usage")
            if usage:
                self._usage = _usage(usage)
            choices = body.get("choices") or []
            if not choices:
                return
            delta = choices[0].get("delta") or {}
            text, refusal = delta.get("content") or "", delta.get("refusal") or ""
            parts = delta.get("tool_calls") or []
            self._finish = choices[0].get("finish_reason") or self._finish
            if not isinstance(text, str) or not isinstance(refusal, str):
                raise TypeError
            yield from self._text(text)
            if refusal:
                self._answer.refused = True
                yield from self._text(refusal)
            for part in parts:
                yield from self._part(part)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError):
            raise malformed() from None

    def end(self, *, cancelled: bool = False) -> Iterator[ModelEvent]:
        """Take the end of the stream; yields what is complete now and the ``Finished``.

        Raises:
            EngineFailedError: The arguments of a tool call are no JSON object.
        """
        stop = StopReason.COMPLETED
        if cancelled:
            stop = StopReason.CANCELLED
        elif self._finish == "length":
            stop = StopReason.MAX_OUTPUT_TOKENS
        else:
            for index in sorted(self._calls):
                yield from self._answer.tool_call(self._calls[index].done())
        if self._finish == "content_filter":
            self._answer.refused = True
        usage = self._usage or TokenUsage(written=self._chunks)
        yield from self._answer.finish(stop, usage)

    def _text(self, text: str) -> Iterator[ModelEvent]:
        if not text:
            return
        self._chunks += 1
        for event in self._answer.text(text, 1):
            self.called_in_text |= isinstance(event, ToolCall)
            yield event

    def _part(self, part: dict[str, Any]) -> Iterator[ModelEvent]:
        index = int(part.get("index", len(self._calls)))
        if index not in self._calls:
            if len(self._calls) >= _MAX_CALLS:
                raise malformed()
            self._calls[index] = _Call()
        function = part.get("function") or {}
        self._chunks += 1
        for delta in self._calls[index].add(
            part.get("id") or "", function.get("name") or "", function.get("arguments") or ""
        ):
            yield from self._answer.tool_call(delta)


class _Call:
    """One tool call that a server sends in parts."""

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._arguments = ""

    def add(self, call_id: str, name: str, arguments: str) -> Iterator[ToolCallDelta]:
        if not self._id:
            self._id = call_id if 0 < len(call_id) <= 64 else new_id("call")
        self._name = self._name or name
        self._arguments += arguments
        if arguments:
            yield ToolCallDelta(self._id, self._name, arguments)

    def done(self) -> ToolCall:
        arguments = self._arguments or "{}"
        try:
            valid = isinstance(json.loads(arguments), dict)
        except ValueError:
            valid = False
        if not valid or not self._name:
            raise malformed()
        return ToolCall(self._id, self._name, arguments)


def malformed() -> EngineFailedError:
    """Return the error for an answer that breaks the protocol."""
    return EngineFailedError("The model's server sent an answer that cannot be read.")


def _usage(usage: dict[str, Any]) -> TokenUsage:
    details = usage.get("prompt_tokens_details") or {}
    return TokenUsage(
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        int(details.get("cached_tokens") or 0),
    )
