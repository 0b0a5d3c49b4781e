"""An answer as a value, gathered from the events of one response."""

import json
from dataclasses import dataclass, field
from typing import Any

from ensemble.v1 import common_pb2, session_events_pb2, tool_pb2


@dataclass(frozen=True)
class ToolUse:
    """A tool that ran for an answer.

    ``arguments`` and ``result`` are the parsed JSON; a failed tool's result is
    ``{"error": REASON, "message": TEXT}``.
    """

    name: str
    arguments: Any
    result: Any


@dataclass(frozen=True)
class Answer:
    """What came of one turn.

    Attributes:
        session_id: Session it belongs to.
        text: What was said, whole.
        tools: Tools that ran, in order.
        declined: The assistant said that it cannot do this.
        model: Registry name of the model that answered; empty when none did.
        usage: ``input_tokens``, ``output_tokens`` and, where charged, ``cost`` and ``currency``.
        notices: What the assistant had to say unasked meanwhile, such as a timer that rang.
    """

    session_id: str
    text: str
    tools: tuple[ToolUse, ...] = ()
    declined: bool = False
    model: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the form that ``ensemble ask --json`` prints."""
        return {
            "session_id": self.session_id,
            "text": self.text,
            "tools": [
                {"name": tool.name, "arguments": tool.arguments, "result": tool.result}
                for tool in self.tools
            ],
            "declined": self.declined,
            "model": self.model,
            "usage": self.usage,
            "notices": list(self.notices),
        }


def parse_json(text: str) -> Any:
    """Return the value of ``text``, or the text itself where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def usage_as_json(usage: common_pb2.Usage) -> dict[str, Any]:
    """Return the parts of ``usage`` that say something."""
    values: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.HasField("cost"):
        values["cost"] = usage.cost.units + usage.cost.nanos / 1e9
        values["currency"] = usage.cost.currency_code
    return values


class AnswerBuilder:
    """Gathers the answer to a turn; ``done`` is its last event once that has come.

    Of responses that no model could finish, and that another one takes the place of, only
    notices are kept.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._notices: list[str] = []
        self.done: session_events_pb2.ResponseDone | None = None
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[str] = []
        self._calls: dict[str, tuple[str, str]] = {}
        self._tools: list[ToolUse] = []
        self._model = ""

    def add(self, event: session_events_pb2.ServerEvent) -> None:
        """Take one event; those that are not about a response are ignored."""
        kind = event.WhichOneof("event")
        if kind == "response_text_delta":
            self._pieces.append(event.response_text_delta.text)
        elif kind == "response_model":
            self._model = event.response_model.model.model
        elif kind == "response_model_substituted":
            self._model = event.response_model_substituted.substitution.to_model
        elif kind == "response_tool_call":
            call = event.response_tool_call.call
            self._calls[call.call_id] = (call.name, call.arguments_json)
        elif kind == "response_tool_done":
            result = event.response_tool_done.result
            name, arguments = self._calls.get(result.call_id, ("", "null"))
            self._tools.append(ToolUse(name, parse_json(arguments), tool_result(result)))
        elif kind == "notice":
            self._notices.append(event.notice.text)
        elif kind == "response_done" and event.response_done.begins_anew:
            self._begin()
        elif kind == "response_done":
            self.done = event.response_done

    def build(self) -> Answer:
        """Return what has been gathered."""
        done = self.done or session_events_pb2.ResponseDone()
        return Answer(
            session_id=self._session_id,
            text="".join(self._pieces),
            tools=tuple(self._tools),
            declined=done.outcome == common_pb2.OUTCOME_DECLINED,
            model=self._model,
            usage=usage_as_json(done.usage),
            notices=tuple(self._notices),
        )


def tool_result(result: tool_pb2.ToolResult) -> Any:
    """Return what a tool gave as a value; ``{"error": ..., "message": ...}`` when it failed."""
    if result.WhichOneof("outcome") == "error":
        return {"error": _reason(result.error), "message": result.error.message}
    return parse_json(result.result_json)


def _reason(status: Any) -> str:
    from ensemble.transport.status import from_status

    return from_status(status).reason
