"""Judges a run from the clients' own records and the journal; the log is not believed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ensemble.client import EnsembleClient
from ensemble.client.answers import tool_result
from ensemble.testkit.chaos.script import Question, parse
from ensemble.testkit.chaos.sound import hear
from ensemble.transport.status import from_status
from ensemble.v1 import common_pb2, session_events_pb2
from tests.chaos.record import Record, ServerEvent
from tests.chaos.stack import Kill

UNKNOWN = "TOOL_OUTCOME_UNKNOWN"

BY_PERSON = "interrupted"
"""Why an answer broke off into which the person spoke."""

_BEFORE_S = 1.0
"""How long before a client is shown that its input entered, a loss may already concern it."""


@dataclass
class Response:
    """One response as it was shown."""

    response_id: str
    text: str = ""
    whole: str | None = None
    results: list[object] = field(default_factory=list)
    ends: list[session_events_pb2.ResponseDone] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    until: float = 0.0

    @property
    def completed(self) -> bool:
        """It came to its end in order."""
        return bool(self.ends) and self.ends[-1].stop_reason == common_pb2.STOP_REASON_COMPLETED


@dataclass
class Turn:
    """A turn as it was shown."""

    text: str
    since: float = 0.0
    responses: list[Response] = field(default_factory=list)

    @property
    def until(self) -> float:
        """When the last of its answer was shown."""
        return max((response.until for response in self.responses), default=self.since)


@dataclass(frozen=True)
class GivenUp:
    """A turn that has no whole answer although its person wanted it.

    Attributes:
        where: Client and question.
        why: What the client was told.
        losses: What died while it was answered, and how long after its input was shown. A gateway
            holds nothing of an answer and does not count.
    """

    where: str
    why: str
    losses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.why} [{', '.join(self.losses) or 'nothing died'}]"


@dataclass
class Verdict:
    """What is wrong, and what was counted.

    Attributes:
        faults: Each a broken promise.
        told: Turns whose answer did not come to its end, which their client was told, by reason.
        given_up: Those of them for which neither the person's own interruption nor a tool that
            must not be repeated is the reason.
        answered: Turns with the whole answer.
    """

    faults: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    given_up: list[GivenUp] = field(default_factory=list)
    answered: int = 0


def check(record: Record, journal: Sequence[str], losses: Sequence[Kill] = ()) -> Verdict:
    """Judge one client's record.

    Args:
        record: What it was shown.
        journal: What the tool of its stack wrote, in order.
        losses: Which processes died or stood still, and when.
    """
    verdict = Verdict()
    faults = verdict.faults
    faults += record.faults
    _check_order(record, faults)
    turns = _turns(record, faults)
    asked = [question.text for question in record.asked]
    said = [turn.text for turn in turns]
    if said != asked:
        faults.append(f"asked {_difference(asked, said)}")
    runs = Counter(journal)
    for question in record.asked:
        if runs[question.key] > 1:
            faults.append(f"{question.key}: the tool ran {runs[question.key]} times")
    for turn in turns:
        if (answered := parse(turn.text)) is None:
            faults.append(f"a turn that nobody asked: {turn.text!r}")
            continue
        told = Counter(verdict.told)
        _check_turn(answered, turn, record, runs[answered.key], verdict)
        verdict.given_up += _given_up(answered, turn, record, verdict.told - told, losses)
    faults[:] = [f"{record.client} {record.session_id}: {fault}" for fault in faults]
    return verdict


def _check_order(record: Record, faults: list[str]) -> None:
    """Sequences follow each other, each once."""
    last = 0
    for _, event in record.shown:
        if not event.sequence:
            continue
        if last and event.sequence != last + 1:
            faults.append(f"event {event.sequence} was shown after {last}")
        last = event.sequence


def _given_up(
    question: Question,
    turn: Turn,
    record: Record,
    told: Counter[str],
    losses: Sequence[Kill],
) -> list[GivenUp]:
    where, during = f"{record.client} {record.session_id} {question.key}", _during(turn, losses)
    meant = {
        BY_PERSON: question.key in record.interrupted,
        f"tool: {UNKNOWN}": bool(during),
    }
    return [GivenUp(where, why, during) for why in told if not meant.get(why)]


def _during(turn: Turn, losses: Sequence[Kill]) -> tuple[str, ...]:
    return tuple(
        f"{loss.victim} at {loss.at - turn.since:.2f} s"
        for loss in losses
        if not loss.victim.startswith("gateway") and turn.since - _BEFORE_S < loss.at < turn.until
    )


def _turns(record: Record, faults: list[str]) -> list[Turn]:
    turns: dict[str, Turn] = {}
    responses: dict[str, Response] = {}
    for at, event in record.shown:
        kind = event.WhichOneof("event") or ""
        body: Any = getattr(event, kind) if kind else None
        if kind == "input_committed":
            if body.turn_id in turns:
                faults.append(f"{body.text!r} entered twice")
            turns[body.turn_id] = Turn(body.text, at)
        elif kind == "response_started":
            response = Response(body.response_id)
            if body.response_id in responses or body.turn_id not in turns:
                faults.append(f"{body.response_id} began twice, or for no turn")
                continue
            responses[body.response_id] = response
            turns[body.turn_id].responses.append(response)
        elif (response_id := getattr(body, "response_id", "")) in responses:
            responses[response_id].until = at
            _add(responses[response_id], body)
        elif kind == "error":
            for response in responses.values():
                if not response.ends:
                    response.troubles.append(from_status(body).reason)
        elif kind.startswith("response_"):
            faults.append(f"{kind} of an unknown response")
    return list(turns.values())


def _add(response: Response, body: object) -> None:
    match body:
        case session_events_pb2.ResponseTextDelta():
            response.text += body.text
        case session_events_pb2.ResponseTextDone():
            response.whole = body.text
        case session_events_pb2.ResponseToolDone():
            response.results.append(tool_result(body.result))
        case session_events_pb2.ResponseDone():
            response.ends.append(body)


def _check_turn(
    question: Question, turn: Turn, record: Record, runs: int, verdict: Verdict
) -> None:
    key, faults = question.key, verdict.faults
    if not turn.responses:
        if record.failures:
            verdict.told["raised"] += 1
        else:
            faults.append(f"{key}: no answer")
        return
    for response in turn.responses:
        # An error that was raised to the person may be all that they hear of an answer.
        if len(response.ends) != 1 and not (record.failures and not response.ends):
            faults.append(f"{key}: the answer ended {len(response.ends)} times")
        if response.whole is not None and response.whole != response.text:
            faults.append(f"{key}: {response.whole!r} was shown as {response.text!r}")
        if not question.answer.startswith(response.text):
            faults.append(f"{key}: wrong words {response.text!r}")
        _check_tool(question, response, runs, verdict)
        if record.spoken and not response.completed:
            _check_beginning(question, response, record, faults)
    done = [response for response in turn.responses if response.completed]
    if not done:
        end = turn.responses[-1].ends[-1:]
        verdict.told[_reason(end[0]) if end else "no end"] += 1
        return
    if len(done) > 1 or done[0] is not turn.responses[-1]:
        faults.append(f"{key}: answered more than once")
    if question.tool and not any(response.results for response in turn.responses):
        faults.append(f"{key}: the tool was not run")
    if done[0].text != question.answer:
        faults.append(f"{key}: {question.answer!r} was shown as {done[0].text!r}")
    if record.spoken:
        _check_speech(key, done[0], record, verdict)
    verdict.answered += 1


def _check_speech(key: str, response: Response, record: Record, verdict: Verdict) -> None:
    """Every word was heard once; or the client was told that the voice failed meanwhile."""
    heard = hear(bytes(record.sound.get(response.response_id, b"")))
    words = response.text.split()
    if response.troubles and not heard.faults and heard.words == words[: len(heard.words)]:
        if len(heard.words) < len(words):
            verdict.told[f"voice: {response.troubles[-1]}"] += 1
        return
    verdict.faults += [f"{key}: {fault}" for fault in heard.faults]
    if heard.words != words:
        verdict.faults.append(
            f"{key}: of {response.text!r} was heard {' '.join(heard.words)!r}; "
            f"{record.around(response.response_id)}"
        )


def _check_beginning(
    question: Question, response: Response, record: Record, faults: list[str]
) -> None:
    """What was heard of an answer that broke off is its beginning, each word once."""
    heard = hear(bytes(record.sound.get(response.response_id, b"")))
    if heard.words != question.answer.split()[: len(heard.words)]:
        faults.append(f"{question.key}: heard {' '.join(heard.words)!r} before it broke off")
    faults += [f"{question.key}: {fault}" for fault in heard.faults if "is cut" not in fault]


def _check_tool(question: Question, response: Response, runs: int, verdict: Verdict) -> None:
    faults = verdict.faults
    for result in response.results:
        failed = isinstance(result, dict) and result.get("error")
        if failed:
            verdict.told[f"tool: {failed}"] += 1
        if not failed and runs != 1:
            faults.append(f"{question.key}: the tool reports {result!r} and ran {runs} times")
        if failed and failed != UNKNOWN and runs:
            faults.append(f"{question.key}: the tool ran and {failed} was reported")


def _reason(end: session_events_pb2.ResponseDone) -> str:
    name = common_pb2.StopReason.Name(end.stop_reason).removeprefix("STOP_REASON_").lower()
    return f"{name}: {end.error.message}" if end.error.message else name


def _difference(asked: list[str], said: list[str]) -> str:
    missing = Counter(asked) - Counter(said)
    extra = Counter(said) - Counter(asked)
    if not missing and not extra:
        return "in another order than it entered"
    return f"without entering: {list(missing.elements())}; not asked: {list(extra.elements())}"


async def check_log(client: EnsembleClient, record: Record) -> list[str]:
    """Compare the log with what the client was shown: it must be there, word by word."""
    if not record.session_id:
        return []
    faults = []
    logged: dict[int, ServerEvent] = {}
    async for event in client.replay_session(record.session_id):
        logged[event.sequence] = event
    for _, shown in record.shown:
        if shown.sequence and _content(shown) != _content(logged.get(shown.sequence)):
            kind = shown.WhichOneof("event")
            faults.append(f"{record.client}: {kind} {shown.sequence} is not in the log as shown")
    audit = await client.verify_session(record.session_id)
    if not audit.intact:
        faults.append(f"{record.client}: the audit chain is broken")
    return faults


def _content(event: ServerEvent | None) -> bytes:
    if event is None:
        return b""
    kept = ServerEvent()
    kept.CopyFrom(event)
    kept.ClearField("caused_by_event_id")
    kept.ClearField("created_at")
    kept.ClearField("event_id")
    return kept.SerializeToString(deterministic=True)
