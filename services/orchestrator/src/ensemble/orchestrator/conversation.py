"""A conversation as its log tells it: the fold of its events."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ensemble.orchestrator.stored import STATE_VERSION, State
from ensemble.orchestrator.tool_results import for_model
from ensemble.v1 import (
    common_pb2,
    model_router_service_pb2,
    orchestrator_service_pb2,
    session_events_pb2,
    session_pb2,
    tool_pb2,
)

_TEXT_LIMIT: Final = 65_536
"""Code points of one earlier answer that a model is given, the last ones: at four bytes each they
stay within the contract's 1,048,576 for a message."""

_HISTORY_LIMIT: Final = 524_288
"""Code points of history in all, so that the start of a chat stays within a message of 4 MiB."""


@dataclass(slots=True)
class Round:
    """One call of the model within an answer: what it said, then the tools it asked for."""

    text: str = ""
    calls: list[tool_pb2.ToolCall] = field(default_factory=list)
    results: dict[str, tool_pb2.ToolResult] = field(default_factory=dict)

    def messages(self, heard: int) -> Iterable[model_router_service_pb2.ChatMessage]:
        """Yield it as messages, of its text only the first ``heard`` code points."""
        # A call without a result was cut off: the model never learned of it.
        calls = [call for call in self.calls if call.call_id in self.results]
        text = self.text[: max(heard, 0)][-_TEXT_LIMIT:]
        if text or calls:
            yield model_router_service_pb2.ChatMessage(
                role=model_router_service_pb2.ROLE_ASSISTANT, text=text, tool_calls=calls
            )
        if calls:
            yield model_router_service_pb2.ChatMessage(
                role=model_router_service_pb2.ROLE_TOOL,
                tool_results=[for_model(self.results[call.call_id]) for call in calls],
            )


@dataclass(slots=True)
class Answer:
    """One response. ``heard`` is None while all of its text counts."""

    response_id: str
    turn_id: str
    rounds: list[Round] = field(default_factory=lambda: [Round()])
    heard: int | None = None
    asked: list[session_events_pb2.ResponseModelDone] = field(default_factory=list)
    complete: bool = False
    """Its text is whole: no model has anything to add."""
    sequence: int = 0
    """Where it begins in the record."""
    began: int = 0
    """Nanoseconds since the epoch at which it did."""
    model: str = ""
    """The model that answers, as far as it is known."""
    resumed: int = 0
    """Where the record says that it goes on after a loss, the last time; 0 for never."""
    _told: list[model_router_service_pb2.ChatMessage] | None = None

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(each.text for each in self.rounds)

    def close(self, heard: int | None) -> None:
        """It is over; ``heard`` code points of its text count, or all of them."""
        self.heard = heard
        self._told = list(self._messages())
        self.asked.clear()  # only one that is open is gone on with; each keeps its whole event

    def give_way(self) -> None:
        """Another answer to the same turn took its place: of this one its tools alone are told."""
        with_tools = (each.messages(len(self.text)) for each in self.rounds if each.calls)
        self._told = [message for messages in with_tools for message in messages]

    def messages(self) -> Sequence[model_router_service_pb2.ChatMessage]:
        """Return it as messages, text only as far as it was heard."""
        return list(self._messages()) if self._told is None else self._told

    def _messages(self) -> Iterable[model_router_service_pb2.ChatMessage]:
        left = len(self.text) if self.heard is None else self.heard
        for each in self.rounds:
            yield from each.messages(left)
            left -= len(each.text)

    def add_text(self, text: str) -> None:
        """Take more text; what follows the results of tools belongs to a new round."""
        if self.rounds[-1].results:
            self.rounds.append(Round())
        self.rounds[-1].text += text

    def add_call(self, call: tool_pb2.ToolCall) -> None:
        """Take a call; what follows results belongs to a new round."""
        if self.rounds[-1].results:
            self.rounds.append(Round())
        self.rounds[-1].calls.append(call)


@dataclass(slots=True)
class Said:
    """What the person said; empty text when it could not be understood.

    Attributes:
        sequence: Where it stands in the record.
    """

    turn_id: str
    text: str
    sequence: int = 0
    _told: model_router_service_pb2.ChatMessage | None = None

    @property
    def message(self) -> model_router_service_pb2.ChatMessage:
        """What a model is told of it."""
        if self._told is None:
            self._told = _message(model_router_service_pb2.ROLE_USER, self.text)
        return self._told


class Conversation:
    """State of one session, built by ``apply`` from each event of its log in turn.

    Args:
        session_id: Which session.
        limit: Turns and answers that are kept; of older ones nothing is told to a model.
    """

    def __init__(self, session_id: str, limit: int) -> None:
        self.session = session_pb2.Session(session_id=session_id)
        self.accepted = session_events_pb2.InputAccepted()
        self._imported: list[session_pb2.HistoryItem] = []
        self._items: deque[Said | Answer] = deque(maxlen=limit)
        self._cut = False
        self._open: Answer | None = None

    @property
    def config(self) -> session_pb2.SessionConfig:
        """How the session talks and listens."""
        return self.session.config

    @property
    def open_answer(self) -> Answer | None:
        """The answer that has no end yet."""
        return self._open

    @property
    def last_said(self) -> Said | None:
        """The last turn, if nothing has answered it yet."""
        last = self._items[-1] if self._items else None
        return last if isinstance(last, Said) else None

    @property
    def answered_by_open(self) -> Said | None:
        """What the open answer answers; None for what is said unasked."""
        for item in reversed(self._items):
            if isinstance(item, Said) and self._open and item.turn_id == self._open.turn_id:
                return item
        return None

    @property
    def may_go_on(self) -> bool:
        """The open answer, which an earlier process began, may be gone on with.

        What was said unasked was for whoever was there to hear it. What is asked again is asked
        again once: a second loss at the same place ends the answer. Where only its speech is
        left, nothing is asked again, and it goes on however often that happens.
        """
        answer = self._open
        if answer is None or self.answered_by_open is None:
            return False
        return answer.complete or answer.resumed != self.session.last_sequence

    def answer(self, response_id: str) -> Answer | None:
        """Return an answer, if it is not too long ago."""
        for item in reversed(self._items):
            if isinstance(item, Answer) and item.response_id == response_id:
                return item
        return None

    @property
    def state(self) -> State:
        """What is needed beside the record from ``history_from`` on."""
        first = self._items[0].sequence if self._items and self._cut else 1
        return State(
            STATE_VERSION,
            first,
            self.session.turn_count,
            self.accepted.samples,
            self.accepted.text_items,
        )

    def restore(self, state: State) -> None:
        """Go on from ``state``, taken after the events that were applied."""
        self.session.turn_count = state.turns
        self.accepted.samples = max(self.accepted.samples, state.samples)
        self.accepted.text_items = max(self.accepted.text_items, state.texts)
        self._cut = self._cut or state.history_from > 1

    def create(self, seq: int, made: orchestrator_service_pb2.OpenSessionRequest) -> None:
        """Begin with what the session was made from."""
        self.session.config.CopyFrom(made.config)
        self.session.last_sequence = seq
        self._imported = list(made.history)

    def apply(self, event: session_events_pb2.ServerEvent) -> None:
        """Take in one committed event, in order of its sequence."""
        self.session.last_sequence = event.sequence
        self.session.update_time.CopyFrom(event.created_at)
        match event.WhichOneof("event"):
            case "input_committed":
                said = event.input_committed
                self._keep(Said(said.turn_id, said.text, event.sequence))
                self.accepted.samples = max(self.accepted.samples, said.accepted.samples)
                self.accepted.text_items = max(self.accepted.text_items, said.accepted.text_items)
            case "response_started":
                started = event.response_started
                last = self._items[-1] if self._items else None
                if isinstance(last, Answer) and last.turn_id and last.turn_id == started.turn_id:
                    last.give_way()
                self._open = Answer(started.response_id, started.turn_id)
                self._open.sequence = event.sequence
                self._open.began = event.created_at.ToNanoseconds()
                self._keep(self._open)
                self.session.answering = True
            case "response_resumed" if self._open:
                self._open.resumed = event.sequence
            case "response_model" if self._open:
                if self._open.resumed == event.sequence - 1:
                    self._open.resumed = event.sequence  # that it is asked is no progress
                self._open.model = event.response_model.model.model
            case "response_model_substituted" if self._open:
                self._open.model = event.response_model_substituted.substitution.to_model
            case "response_text_delta" if self._open:
                self._open.add_text(event.response_text_delta.text)
            case "response_model_done" if self._open:
                self._open.asked.append(event.response_model_done)
            case "response_text_done" if self._open:
                self._open.complete = True
            case "response_tool_call" if self._open:
                self._open.add_call(event.response_tool_call.call)
            case "response_tool_done" if self._open:
                result = event.response_tool_done.result
                self._open.rounds[-1].results[result.call_id] = result
            case "response_done" if self._open:
                self._close(self._open, event.response_done)

    def _keep(self, item: Said | Answer) -> None:
        self._cut = self._cut or len(self._items) == self._items.maxlen
        self._items.append(item)

    def _close(self, answer: Answer, done: session_events_pb2.ResponseDone) -> None:
        whole = done.stop_reason in (
            common_pb2.STOP_REASON_COMPLETED,
            common_pb2.STOP_REASON_MAX_OUTPUT_TOKENS,
        )
        answer.close(None if whole else done.heard.end)
        if answer.turn_id:
            self.session.turn_count += 1
        self._open = None
        self.session.answering = False

    def messages(
        self, instructions: str, limit: int, *, carry_on: bool = False
    ) -> list[model_router_service_pb2.ChatMessage]:
        """Return what a model is given, oldest first.

        Args:
            instructions: What it is told about itself where the session says nothing.
            limit: Messages of history at most; older ones are left out.
            carry_on: Leave the open answer out: whoever carries it on knows how far it is.
        """
        # From the end, so that a long conversation costs no more than a short one.
        newest: list[model_router_service_pb2.ChatMessage] = []
        for item in reversed(self._items):
            if len(newest) >= limit:
                break
            if carry_on and item is self._open:
                continue
            if isinstance(item, Answer):
                newest.extend(reversed(item.messages()))
            elif item.text:
                newest.append(item.message)
        for imported in reversed(self._imported):
            if self._cut or len(newest) >= limit:
                break
            newest.append(_message(_ROLES[imported.role], imported.text))
        # Results of tools whose calls were left out would refer to nothing.
        newest = newest[:limit]
        room = _HISTORY_LIMIT
        for kept, message in enumerate(newest):
            room -= len(message.text)
            if room < 0:
                newest = newest[: max(kept, 1)]
                break
        while newest and newest[-1].role == model_router_service_pb2.ROLE_TOOL:
            newest.pop()
        told = self.config.instructions or instructions
        if told:
            newest.append(_message(model_router_service_pb2.ROLE_SYSTEM, told))
        newest.reverse()
        return newest


_ROLES = {
    session_pb2.HISTORY_ROLE_USER: model_router_service_pb2.ROLE_USER,
    session_pb2.HISTORY_ROLE_ASSISTANT: model_router_service_pb2.ROLE_ASSISTANT,
}


def _message(
    role: model_router_service_pb2.Role, text: str
) -> model_router_service_pb2.ChatMessage:
    return model_router_service_pb2.ChatMessage(role=role, text=text)
