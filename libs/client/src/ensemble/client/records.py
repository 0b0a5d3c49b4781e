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
        engine: What runs it; empty where the record does not say.
        substituted: Models that failed in this call before that one, and why.
        first_output_s: Seconds to its first text or tool call; None before its end, and when it
            was cut off.
        latency_s: Seconds to its end; None before that, and when it was cut off.
        stop_reason: Such as "completed" or "tool_calls"; empty before its end, and when it was
            cut off.
        tool_calls: Tool calls that it asked for.
        usage: As ``usage_as_json`` gives it.
        started: When what came before it in the answer was over.
        cut_s: Seconds from there to where it was cut off; None when it was not.
    """

    model: str
    engine: str
    substituted: list[dict[str, str]] = field(default_factory=list)
    first_output_s: float | None = None
    latency_s: float | None = None
    stop_reason: str = ""
    tool_calls: int = 0
    usage: dict[str, Any] = field(default_factory=dict)
    started: datetime.datetime | None = None
    cut_s: float | None = None

    @property
    def took_s(self) -> float:
        """Seconds from its start to its end, whichever that was; 0 while it is under way."""
        return self.latency_s if self.latency_s is not None else self.cut_s or 0.0


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
    """An answer went on after a process that worked on it was lost.

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
        written: When its text was complete; None before that, and where it never was.
        text: All that was said.
        heard: Code points of the text that count as heard; None for all.
        stop_reason: Why it ended, such as "completed"; empty while it is under way.
        steps: Calls of models, runs of tools, and losses that it outlived, in order.
        usage: What all of it used, as ``usage_as_json`` gives it.
        error: Why it failed; empty when it did not.
        spoken: It was said aloud as well.
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
    written: datetime.datetime | None = None
    spoken: bool = False

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
        audio_s: Seconds of sound that were taken in for it; None where nothing was spoken.
    """

    kind: str
    at: datetime.datetime
    text: str = ""
    understood: bool = True
    answers: list[RecordedAnswer] = field(default_factory=list)
    audio_s: float | None = None


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
        self._lasts: dict[str, datetime.datetime] = {}
        """When each answer was last heard of."""
        self._rate = 0
        self._samples = 0
        self._speaks = False

    def add(self, event: Event) -> None:
        """Take the next event."""
        self.record.events += 1
        at = _time(event.created_at)
        kind = event.WhichOneof("event") or ""
        body: Any = getattr(event, kind) if kind else None
        match kind:
            case "started":
                self.record.created = at
                self._rate = body.session.config.input_audio.sample_rate_hertz
                self._speaks = body.session.config.HasField("output_audio")
            case "input_committed":
                self._turns[body.turn_id] = self._turn(self._said(body, at))
            case "notice":
                self._turn(Turn("notice", at, body.text))
            case "response_started":
                turn = self._turns.get(body.turn_id) or self._turn(Turn("unasked", at))
                answer = RecordedAnswer(at, spoken=self._speaks)
                self._answers[body.response_id] = answer
                self._lasts[body.response_id] = at
                turn.answers.append(answer)
            case _ if body is not None:
                answer_id = getattr(body, "response_id", "")
                if (known := self._answers.get(answer_id)) is not None:
                    self._add_to(known, answer_id, kind, body, at)
                    self._lasts[answer_id] = at

    def _said(self, body: session_events_pb2.InputCommitted, at: datetime.datetime) -> Turn:
        turn = Turn("spoken" if body.spoken else "typed", at, body.text, not body.rejected)
        if body.spoken and self._rate:
            turn.audio_s = max(body.accepted.samples - self._samples, 0) / self._rate
        self._samples = body.accepted.samples
        return turn

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
        last = self._lasts[answer_id]
        match kind:
            case "response_resumed":
                _cut_off(answer, last)
                answer.steps.append(TakenUp(at, (at - last).total_seconds()))
            case "response_model":
                _cut_off(answer, last)
                call = ModelCall(body.model.model, body.model.engine, started=last)
                answer.steps.append(call)
            case "response_model_substituted":
                _substitute(answer, body.substitution, last)
            case "response_model_done":
                _complete(answer, body, last)
            case "response_text_done":
                answer.written = at
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
                _cut_off(answer, at)
                _finish(answer, body, at)


def _open_call(answer: RecordedAnswer) -> ModelCall | None:
    """Return the call that is under way."""
    calls = reversed(answer.models)
    return next((each for each in calls if each.latency_s is None and each.cut_s is None), None)


def _cut_off(answer: RecordedAnswer, at: datetime.datetime) -> None:
    """A call that is under way has ended without an end of its own."""
    if (call := _open_call(answer)) is not None:
        call.cut_s = (at - (call.started or at)).total_seconds()


def _substitute(answer: RecordedAnswer, substitution: Any, last: datetime.datetime) -> None:
    call = _open_call(answer)
    if call is None:
        call = ModelCall(substitution.from_model, "", started=last)
        answer.steps.append(call)
    # What runs the one that goes on is not said.
    call.engine = ""
    call.substituted.append({"model": substitution.from_model, "why": substitution.reason.message})
    call.model = substitution.to_model


def _complete(
    answer: RecordedAnswer, done: session_events_pb2.ResponseModelDone, last: datetime.datetime
) -> None:
    call = _open_call(answer)
    if call is None:
        call = ModelCall("", "", started=last)
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
        "unreadable": session.unreadable,
    }


def _executor(executor: tool_pb2.ToolExecutor) -> str:
    return "client" if executor == tool_pb2.TOOL_EXECUTOR_CLIENT else "server"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.ToNanoseconds() / 1e9


def _time(stamp: timestamp_pb2.Timestamp) -> datetime.datetime:
    return stamp.ToDatetime(datetime.UTC)
