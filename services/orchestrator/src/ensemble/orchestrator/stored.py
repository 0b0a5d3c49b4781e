"""How the events of a session stand in its log stream.

Nothing is kept twice. The words of an answer are in the ``text`` of its deltas, where SQL sees
them, and ``response_text_done`` gets them back from there when it is read. Which answer an event
belongs to is said by the ``response_started`` before it, and when it was made by the log.
"""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from ensemble.eventlog import Event, EventLog, Execution, StreamKey, Upcasters
from ensemble.v1 import common_pb2, orchestrator_service_pb2, session_events_pb2

CREATED: Final = "session_created"
"""Type of a session's first event; its payload is the request that made it."""

ASSISTANT: Final = "assistant"
"""Who works in a session, as the view ``agent_executions`` says."""

_BRANCHES: Final = session_events_pb2.ServerEvent.DESCRIPTOR.oneofs_by_name["event"]

UPCASTERS: Final = Upcasters(
    versions=dict.fromkeys(
        [
            CREATED,
            *(field.name for field in _BRANCHES.fields),
            "accepted",
            "due",
            "told",
        ],
        1,
    )
)
"""Versions of the payloads that this program writes, and so knows."""

STATE_VERSION: Final = 1
"""Of the shape of ``State``."""

_OF_AN_ANSWER: Final = frozenset(
    {
        "response_resumed",
        "response_model",
        "response_model_substituted",
        "response_model_done",
        "response_text_delta",
        "response_text_done",
        "response_tool_call",
        "response_tool_done",
        "response_done",
    }
)
"""What the record says of an answer after its start."""

_PAGE: Final = 256
_NANOS: Final = 1_000_000_000

_STATUS: Final = {
    common_pb2.STOP_REASON_COMPLETED: "completed",
    common_pb2.STOP_REASON_MAX_OUTPUT_TOKENS: "completed",
    common_pb2.STOP_REASON_FAILED: "failed",
}


def session_key(session_id: str) -> StreamKey:
    """Return the log stream of a session."""
    return StreamKey("session", session_id)


def place(
    event: session_events_pb2.ServerEvent, session_id: str, seq: int, at: int
) -> session_events_pb2.ServerEvent:
    """Say of ``event`` that it stands at ``seq`` of a session's record since ``at``, in
    nanoseconds since the epoch, and return it."""
    stamp(event, at)
    event.sequence = seq
    event.event_id = f"{session_id}.{seq}"
    return event


def stamp(event: session_events_pb2.ServerEvent, at: int = 0) -> None:
    """Say that ``event`` was made at ``at``, in nanoseconds since the epoch; 0 for now."""
    made = event.created_at
    made.seconds, made.nanos = divmod(at or time.time_ns(), _NANOS)


def encode(event: session_events_pb2.ServerEvent, kind: str, response_id: str) -> tuple[bytes, str]:
    """Return payload and text of an event as the log keeps them.

    Args:
        event: Without its place and time; left as it is.
        kind: Which branch it is.
        response_id: Of the answer that began last in its record.
    """
    if kind not in _OF_AN_ANSWER:
        return event.SerializeToString(), ""
    kept = session_events_pb2.ServerEvent()
    kept.CopyFrom(event)
    part = getattr(kept, kind)
    if part.response_id == response_id:
        part.response_id = ""
    text = ""
    if kind == "response_text_delta":
        text, part.text = part.text, ""
    elif kind == "response_text_done":
        part.text = ""
    return kept.SerializeToString(), text


class Reader:
    """Reads a session's events in order, as clients get them: the same each time.

    An erased event is empty but for its place and time.

    Args:
        log: Where they are.
        session_id: Whose.
    """

    def __init__(self, log: EventLog, session_id: str) -> None:
        self._log = log
        self._key = session_key(session_id)
        self._response_id = ""
        self._texts: list[str] = []

    async def page(self, after: int, limit: int = _PAGE) -> list[session_events_pb2.ServerEvent]:
        """Return up to ``limit`` events after sequence ``after``."""
        return [await self.decode(e) for e in await self._log.read(self._key, after, limit)]

    async def all(self, after: int = 0) -> AsyncIterator[session_events_pb2.ServerEvent]:
        """Yield the events after sequence ``after``."""
        while page := await self.page(after):
            for event in page:
                yield event
            if len(page) < _PAGE:
                break
            after = page[-1].sequence

    async def decode(self, event: Event) -> session_events_pb2.ServerEvent:
        """Return a logged event; to be called with each in turn."""
        if event.type == CREATED:
            return _created(event)
        server_event = session_events_pb2.ServerEvent.FromString(event.payload)
        branch = server_event.WhichOneof("event") or ""
        if branch == "response_started":
            self._response_id, self._texts = server_event.response_started.response_id, []
        elif branch in _OF_AN_ANSWER:
            await self._complete(getattr(server_event, branch), branch, event)
        return place(server_event, event.stream.name, event.seq, event.created_at)

    async def _complete(self, part: Any, branch: str, event: Event) -> None:
        """Give back what an event of an answer is kept without."""
        if not self._response_id:
            await self._look_back(event.seq)
        part.response_id = part.response_id or self._response_id
        if branch == "response_text_delta":
            part.text = event.text or part.text
            self._texts.append(part.text)
        elif branch == "response_text_done":
            part.text = part.text or "".join(self._texts)

    async def _look_back(self, before: int) -> None:
        """Find the answer that began last before what was read, and its words so far."""
        found: list[str] = []
        while before > 1 and not self._response_id:
            after = max(before - 1 - _PAGE, 0)
            for event in reversed(await self._log.read(self._key, after, before - 1 - after)):
                past = session_events_pb2.ServerEvent.FromString(event.payload)
                if past.HasField("response_started"):
                    self._response_id = past.response_started.response_id
                    break
                if past.HasField("response_text_delta"):
                    found.append(event.text or past.response_text_delta.text)
            before = after + 1
        self._texts = found[::-1]


def _created(event: Event) -> session_events_pb2.ServerEvent:
    made = orchestrator_service_pb2.OpenSessionRequest.FromString(event.payload)
    server_event = session_events_pb2.ServerEvent()
    session = server_event.started.session
    session.session_id = event.stream.name
    session.config.CopyFrom(made.config)
    session.last_sequence = event.seq
    session.create_time.FromNanoseconds(event.created_at)
    session.update_time.CopyFrom(session.create_time)
    return place(server_event, event.stream.name, event.seq, event.created_at)


class Work:
    """The answer under way, as the view ``agent_executions`` shows it.

    Attributes:
        response_id: Of the answer that began last; empty for none.

    Args:
        response_id: Of an answer that an earlier process began; empty for none.
        began: Nanoseconds since the epoch at which it did.
        model: The model that answered then.
    """

    def __init__(self, response_id: str = "", began: int = 0, model: str = "") -> None:
        self.response_id = response_id
        self._began = began
        self._model = model

    def execution(
        self, event: session_events_pb2.ServerEvent, kind: str, at: int
    ) -> Execution | None:
        """Return the row that ``event`` makes or changes; None when it does neither.

        Args:
            event: What happened.
            kind: Which branch it is.
            at: When it did, in nanoseconds since the epoch.
        """
        match kind:
            case "response_started":
                self.response_id = event.response_started.response_id
                self._began, self._model = at, ""
                return Execution(self.response_id, ASSISTANT)
            case "response_model":
                self._model = event.response_model.model.model
            case "response_model_substituted":
                self._model = event.response_model_substituted.substitution.to_model
            case "response_done" if event.response_done.response_id == self.response_id:
                return self._ended(event.response_done, at)
        return None

    def _ended(self, done: session_events_pb2.ResponseDone, at: int) -> Execution:
        cost = Decimal(0)
        if done.usage.cost.currency_code == "USD":
            cost = Decimal(done.usage.cost.units) + Decimal(done.usage.cost.nanos) / _NANOS
        return Execution(
            self.response_id,
            ASSISTANT,
            self._model,
            _STATUS.get(done.stop_reason, "interrupted"),
            input_tokens=done.usage.input_tokens,
            output_tokens=done.usage.output_tokens,
            latency_ms=max(at - self._began, 0) // 1_000_000,
            cost_usd=cost,
        )


class State(msgspec.Struct, frozen=True, array_like=True):
    """A session's state without its words: where to read from, and what counts more than that.

    Attributes:
        version: Of this shape; another one is read as if there were none.
        history_from: Sequence of the first event that a model is still told of.
        turns: Answers that are over.
        samples: Audio accepted, and ``texts``, typed items.
    """

    version: int
    history_from: int
    turns: int
    samples: int
    texts: int
