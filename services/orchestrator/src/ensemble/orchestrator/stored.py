"""How the events of a session stand in its log stream.

The words of an answer are kept once, in the ``text`` of its deltas, where SQL sees them;
``response_text_done`` is kept without them and gets them back from the deltas when it is read.
"""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Final

import msgspec

from ensemble.eventlog import Event, EventLog, Execution, StreamKey
from ensemble.v1 import common_pb2, orchestrator_service_pb2, session_events_pb2

CREATED: Final = "session_created"
"""Type of a session's first event; its payload is the request that made it."""

ASSISTANT: Final = "assistant"
"""Who works in a session, as the view ``agent_executions`` says."""

STATE_VERSION: Final = 1
"""Of the shape of ``State``."""

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
    event: session_events_pb2.ServerEvent, session_id: str, seq: int
) -> session_events_pb2.ServerEvent:
    """Number ``event`` as what stands at ``seq`` of a session's record, and return it."""
    event.sequence = seq
    event.event_id = f"{session_id}.{seq}"
    return event


def encode(event: session_events_pb2.ServerEvent) -> tuple[bytes, str]:
    """Return payload and text of an event as the log keeps them."""
    branch = event.WhichOneof("event")
    if branch not in ("response_text_delta", "response_text_done"):
        return event.SerializeToString(), ""
    words = event.response_text_delta if branch == "response_text_delta" else None
    said = words or event.response_text_done
    text, said.text = said.text, ""
    payload = event.SerializeToString()
    said.text = text
    return payload, text if words else ""


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
        if event.erased:
            server_event.created_at.FromNanoseconds(event.created_at)
        branch = server_event.WhichOneof("event")
        if branch == "response_started":
            self._response_id, self._texts = server_event.response_started.response_id, []
        elif branch == "response_text_delta":
            delta = server_event.response_text_delta
            delta.text = event.text or delta.text
            if delta.response_id == self._response_id:
                self._texts.append(delta.text)
        elif branch == "response_text_done" and not server_event.response_text_done.text:
            done = server_event.response_text_done
            if done.response_id != self._response_id:
                await self._look_back(done.response_id, event.seq)
            done.text = "".join(self._texts)
        return place(server_event, event.stream.name, event.seq)

    async def _look_back(self, response_id: str, before: int) -> None:
        """Collect the words of a response whose start lies before what was read."""
        self._response_id, self._texts = response_id, []
        found: list[str] = []
        while before > 1:
            after = max(before - 1 - _PAGE, 0)
            for event in reversed(await self._log.read(self._key, after, before - 1 - after)):
                past = session_events_pb2.ServerEvent.FromString(event.payload)
                if past.response_started.response_id == response_id:
                    self._texts = found[::-1]
                    return
                if past.response_text_delta.response_id == response_id:
                    found.append(event.text or past.response_text_delta.text)
            before = after + 1


def _created(event: Event) -> session_events_pb2.ServerEvent:
    made = orchestrator_service_pb2.OpenSessionRequest.FromString(event.payload)
    server_event = session_events_pb2.ServerEvent()
    session = server_event.started.session
    session.session_id = event.stream.name
    session.config.CopyFrom(made.config)
    session.last_sequence = event.seq
    server_event.created_at.FromNanoseconds(event.created_at)
    session.create_time.CopyFrom(server_event.created_at)
    session.update_time.CopyFrom(server_event.created_at)
    return place(server_event, event.stream.name, event.seq)


class Work:
    """The answer under way, as the view ``agent_executions`` shows it.

    Args:
        response_id: Of an answer that an earlier process began; empty for none.
        began: Nanoseconds since the epoch at which it did.
        model: The model that answered then.
    """

    def __init__(self, response_id: str = "", began: int = 0, model: str = "") -> None:
        self._response_id = response_id
        self._began = began
        self._model = model

    def execution(self, event: session_events_pb2.ServerEvent) -> Execution | None:
        """Return the row that ``event`` makes or changes; None when it does neither."""
        match event.WhichOneof("event"):
            case "response_started":
                self._response_id = event.response_started.response_id
                self._began, self._model = event.created_at.ToNanoseconds(), ""
                return Execution(self._response_id, ASSISTANT)
            case "response_model":
                self._model = event.response_model.model.model
            case "response_model_substituted":
                self._model = event.response_model_substituted.substitution.to_model
            case "response_done" if event.response_done.response_id == self._response_id:
                return self._ended(event.response_done, event.created_at.ToNanoseconds())
        return None

    def _ended(self, done: session_events_pb2.ResponseDone, at: int) -> Execution:
        cost = Decimal(0)
        if done.usage.cost.currency_code == "USD":
            cost = Decimal(done.usage.cost.units) + Decimal(done.usage.cost.nanos) / _NANOS
        return Execution(
            self._response_id,
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
