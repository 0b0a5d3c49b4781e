"""A session's record as turns: what was said, which models and tools worked, how long it took."""

import datetime
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import duration_pb2, timestamp_pb2

from ensemble.client.answers import parse_json, tool_result, usage_as_json
from ensemble.v1 import common_pb2, session_events_pb2, session_pb2, tool_pb2

Event = session_events_pb2.ServerEvent


@dataclass
class ModelCall:
    """One call of a model.

    Attributes:
        model: Name of the model that wrote last; empty when none took the call.
        engine: What runs it.
        substituted: Models that failed in this call before that one, and why.
        first_output_s: Seconds to its first text or tool call; None when it was cut off.
        latency_s: Seconds to its end; None when it was cut off.
        stop_reason: Such as "completed" or "tool_calls"; empty when it was cut off.
        tool_calls: Tool calls that it asked for.
        usage: As ``usage_as_json`` gives it.
    """

    model: str
    engine: str
    substituted: list[dict[str, str]] = field(default_factory=list)
    first_output_s: float | None = None
    latency_s: float | None = None
    stop_reason: str = ""
    tool_calls: int = 0
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass
class ToolRun:
    """One run of a tool.

    Attributes:
        started: When it was asked for.
        result: Parsed JSON; of a failed tool ``{"error": REASON, "message": TEXT}``.
        executor: "server" or "client".
        failed: It gave an error, or nothing at all.
        duration_s: Seconds until its result was there; None when none ever was.
        result_bytes: Size of the result as JSON.
    """

    name: str
    arguments: Any
    executor: str
    started: datetime.datetime
    result: Any = None
    failed: bool = True
    duration_s: float | None = None
    result_bytes: int = 0


@dataclass
class TakenUp:
    """An answer went on after the process that made it was lost.

    Attributes:
        at: When it was taken up.
        silent_s: Seconds since what was last recorded of it.
    """

    at: datetime.datetime
    silent_s: float


@dataclass
class RecordedAnswer:
    """One answer.

    Attributes:
        started: When it began.
        ended: When it was over; None while it is under way.
        text: All that was said.
        heard: Code points of the text that count as heard; None for all.
        stop_reason: Why it ended, such as "completed"; empty while it is under way.
        steps: Calls of models, runs of tools, and losses that it outlived, in order.
        usage: What all of it used, as ``usage_as_json`` gives it.
        error: Why it failed; empty when it did not.
    """

    started: datetime.datetime
    ended: datetime.datetime | None = None
    text: str = ""
    heard: int | None = None
    stop_reason: str = ""
    declined: bool = False
    steps: list[ModelCall | ToolRun | TakenUp] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def models(self) -> list[ModelCall]:
        """Its calls of models."""
        return [step for step in self.steps if isinstance(step, ModelCall)]

    @property
    def tools(self) -> list[ToolRun]:
        """Its runs of tools."""
        return [step for step in self.steps if isinstance(step, ToolRun)]


@dataclass
class Turn:
    """Something said, by the person or unasked by the assistant, and what was answered.

    Attributes:
        kind: "typed", "spoken", "notice" (the assistant tells of a timer or reminder) or
            "unasked" (an answer to nothing that was said).
        at: When it entered the conversation.
        text: What was said or typed; empty for speech that was not understood.
        understood: False for speech that was not.
    """

    kind: str
    at: datetime.datetime
    text: str = ""
    understood: bool = True
    answers: list[RecordedAnswer] = field(default_factory=list)


@dataclass
class Record:
    """A session as its log tells it.

    Attributes:
        created: When the session was made; None when that event is not part of what was read.
        turns: In order.
        events: How many events it was read from.
    """

    session_id: str
    created: datetime.datetime | None = None
    turns: list[Turn] = field(default_factory=list)
    events: int = 0


async def read_record(session_id: str, events: AsyncIterable[Event]) -> Record:
    """Return the record that ``events`` (see ``EnsembleClient.replay_session``) tell."""
    reader = _Reader(session_id)
    async for event in events:
        reader.add(event)
    return reader.record


class _Reader:
    """Folds events into a record."""

    def __init__(self, session_id: str) -> None:
        self.record = Record(session_id)
        self._turns: dict[str, Turn] = {}
        self._answers: dict[str, RecordedAnswer] = {}
        self._runs: dict[tuple[str, str], ToolRun] = {}
        self._last: datetime.datetime | None = None

    def add(self, event: Event) -> None:
        """Take the next event."""
        self.record.events += 1
        at = _time(event.created_at)
        kind = event.WhichOneof("event") or ""
        body: Any = getattr(event, kind) if kind else None
        match kind:
            case "started":
                self.record.created = at
            case "input_committed":
                self._turns[body.turn_id] = self._turn(
                    Turn("spoken" if body.spoken else "typed", at, body.text, not body.rejected)
                )
            case "notice":
                self._turn(Turn("notice", at, body.text))
            case "response_started":
                turn = self._turns.get(body.turn_id) or self._turn(Turn("unasked", at))
                self._answers[body.response_id] = answer = RecordedAnswer(at)
                turn.answers.append(answer)
            case _ if body is not None:
                answer_id = getattr(body, "response_id", "")
                if (known := self._answers.get(answer_id)) is not None:
                    self._add_to(known, answer_id, kind, body, at)
        self._last = at

    def _turn(self, turn: Turn) -> Turn:
        self.record.turns.append(turn)
        return turn

    def _add_to(
        self,
        answer: RecordedAnswer,
        answer_id: str,
        kind: str,
        body: Any,
        at: datetime.datetime,
    ) -> None:
        match kind:
            case "response_resumed":
                silent = at - (self._last or at)
                answer.steps.append(TakenUp(at, silent.total_seconds()))
            case "response_model":
                answer.steps.append(ModelCall(body.model.model, body.model.engine))
            case "response_model_substituted":
                _substitute(answer, body.substitution)
            case "response_model_done":
                _complete(answer, body)
            case "response_text_delta":
                answer.text += body.text
            case "response_tool_call":
                run = ToolRun(
                    body.call.name,
                    parse_json(body.call.arguments_json),
                    _executor(body.executor),
                    at,
                )
                self._runs[answer_id, body.call.call_id] = run
                answer.steps.append(run)
            case "response_tool_done":
                if (found := self._runs.get((answer_id, body.result.call_id))) is not None:
                    found.result = tool_result(body.result)
                    found.failed = body.result.WhichOneof("outcome") == "error"
                    found.duration_s = (at - found.started).total_seconds()
                    found.result_bytes = len(body.result.result_json.encode())
            case "response_done":
                _finish(answer, body, at)


def _substitute(answer: RecordedAnswer, substitution: Any) -> None:
    call = answer.models[-1] if answer.models else None
    if call is None or call.latency_s is not None:
        call = ModelCall(substitution.from_model, "")
        answer.steps.append(call)
    call.substituted.append({"model": substitution.from_model, "why": substitution.reason.message})
    call.model = substitution.to_model


def _complete(answer: RecordedAnswer, done: session_events_pb2.ResponseModelDone) -> None:
    call = next((each for each in reversed(answer.models) if each.latency_s is None), None)
    if call is None:
        call = ModelCall("", "")
        answer.steps.append(call)
    call.first_output_s = _seconds(done.first_output)
    call.latency_s = _seconds(done.latency)
    call.stop_reason = _word(common_pb2.StopReason.Name(done.stop_reason), "STOP_REASON_")
    call.tool_calls = done.tool_calls
    call.usage = usage_as_json(done.usage)


def _finish(
    answer: RecordedAnswer, done: session_events_pb2.ResponseDone, at: datetime.datetime
) -> None:
    answer.ended = at
    answer.stop_reason = _word(common_pb2.StopReason.Name(done.stop_reason), "STOP_REASON_")
    answer.declined = done.outcome == common_pb2.OUTCOME_DECLINED
    answer.usage = usage_as_json(done.usage)
    answer.error = done.error.message if done.HasField("error") else ""
    answer.heard = None if done.heard.end >= len(answer.text) else done.heard.end


def session_as_json(session: session_pb2.Session) -> dict[str, Any]:
    """Return the row that ``ensemble sessions list --json`` prints."""
    return {
        "session_id": session.session_id,
        "created": _time(session.create_time).isoformat(),
        "changed": _time(session.update_time).isoformat(),
        "turns": session.turn_count,
        "events": session.last_sequence,
        "answering": session.answering,
    }


def _executor(executor: tool_pb2.ToolExecutor) -> str:
    return "client" if executor == tool_pb2.TOOL_EXECUTOR_CLIENT else "server"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.ToNanoseconds() / 1e9


def _time(stamp: timestamp_pb2.Timestamp) -> datetime.datetime:
    return stamp.ToDatetime(datetime.UTC)
