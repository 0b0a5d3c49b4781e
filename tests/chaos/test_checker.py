"""The checker: what it lets pass, and what it does not."""

from collections.abc import Callable

import pytest

from ensemble.core.errors import EnsembleError, ToolFailedError, ToolOutcomeUnknownError
from ensemble.testkit.chaos.script import Question
from ensemble.testkit.chaos.sound import OUTPUT_FRAME, frame, hear, say, understand
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2
from tests.chaos.bounds import too_many
from tests.chaos.checker import GivenUp, check
from tests.chaos.record import Record, ServerEvent
from tests.chaos.stack import Kill

pytestmark = pytest.mark.unit

QUESTION = Question("c1q1", tool=True, words=3)


def _record() -> Record:
    """Return what a client is shown when all is well."""
    record = Record("c1", spoken=True, asked=[QUESTION])
    events = [
        ServerEvent(input_committed={"turn_id": "t", "text": QUESTION.text}),
        ServerEvent(response_started={"turn_id": "t", "response_id": "r"}),
        ServerEvent(response_tool_done={"response_id": "r", "result": {"result_json": "{}"}}),
        *(
            ServerEvent(response_text_delta={"response_id": "r", "text": text})
            for text in QUESTION.tokens
        ),
        ServerEvent(response_text_done={"response_id": "r", "text": QUESTION.answer}),
        ServerEvent(
            response_done={"response_id": "r", "stop_reason": common_pb2.STOP_REASON_COMPLETED}
        ),
    ]
    for number, event in enumerate(events, 2):
        event.sequence = number
        record.show(event)
    pcm = b"".join(frame(word, at, 2) for word in QUESTION.answer.split() for at in range(2))
    record.sound["r"] = bytearray(pcm)
    return record


def _drop(record: Record, at: int) -> None:
    del record.shown[at]


def _double(record: Record, at: int) -> None:
    record.shown.insert(at, record.shown[at])


def _drop_and_renumber(record: Record, at: int) -> None:
    _drop(record, at)
    for number, (_, event) in enumerate(record.shown, 2):
        event.sequence = number


def _drop_frame(record: Record) -> None:
    del record.sound["r"][: 2 * OUTPUT_FRAME]


def _double_word(record: Record) -> None:
    record.sound["r"] += record.sound["r"][-4 * OUTPUT_FRAME :]


def _ask_another(record: Record) -> None:
    record.asked.append(Question("c1q2", tool=False, words=1))


def test_a_record_without_fault_passes() -> None:
    verdict = check(_record(), ["c1q1", "c2q1"])
    assert verdict.faults == []
    assert verdict.answered == 1
    assert not verdict.told


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: _drop(record, 4),
        lambda record: _double(record, 4),
        lambda record: _drop_and_renumber(record, 4),
        lambda record: _drop_and_renumber(record, 0),
        lambda record: _drop_and_renumber(record, 2),
        lambda record: _drop_and_renumber(record, 7),
        _drop_frame,
        _double_word,
        _ask_another,
    ],
    ids=[
        "an event is missing",
        "an event came twice",
        "a token is missing",
        "a turn is lost",
        "a tool left no result",
        "an answer has no end",
        "a frame is missing",
        "a word was heard twice",
        "a question is lost",
    ],
)
def test_whatever_is_lost_or_doubled_is_a_fault(spoil: Callable[[Record], None]) -> None:
    record = _record()
    spoil(record)
    assert check(record, ["c1q1"]).faults


@pytest.mark.parametrize("journal", [[], ["c1q1", "c1q1"]], ids=["not run", "run twice"])
def test_the_journal_is_believed_rather_than_what_the_tool_says(journal: list[str]) -> None:
    assert check(_record(), journal).faults


def test_an_answer_that_broke_off_is_no_fault_where_the_client_was_told() -> None:
    record = _record()
    record.shown[-1][1].response_done.stop_reason = common_pb2.STOP_REASON_INTERRUPTED
    verdict = check(record, ["c1q1"])
    assert verdict.faults == []
    assert verdict.told == {"interrupted": 1}
    assert [each.why for each in verdict.given_up] == ["interrupted"]


def test_an_answer_into_which_the_person_spoke_was_not_given_up() -> None:
    record = _record()
    record.shown[-1][1].response_done.stop_reason = common_pb2.STOP_REASON_INTERRUPTED
    record.interrupted.add(QUESTION.key)
    assert check(record, ["c1q1"]).given_up == []


@pytest.mark.parametrize(
    ("error", "dies", "given_up"),
    [
        (ToolOutcomeUnknownError(), True, 0),
        (ToolOutcomeUnknownError(), False, 1),
        (ToolFailedError(), True, 1),
    ],
    ids=["outcome unknown", "unknown though nothing died", "failed"],
)
def test_a_tool_without_a_result_has_a_reason(
    error: EnsembleError, dies: bool, given_up: int
) -> None:
    record = _record()
    record.shown[2][1].response_tool_done.result.error.CopyFrom(to_status(error))
    losses = [Kill("tool-server", record.shown[1][0])] if dies else []
    verdict = check(record, [], losses)
    assert verdict.faults == []
    assert len(verdict.given_up) == given_up


def test_what_died_meanwhile_is_named_but_for_gateways() -> None:
    record = _record()
    record.shown[-1][1].response_done.stop_reason = common_pb2.STOP_REASON_INTERRUPTED
    began, ended = record.shown[0][0], record.shown[-1][0]
    losses = [
        Kill("model-router", began - 60),
        Kill("gateway-1", began),
        Kill("orchestrator-1", began),
        Kill("model-router", ended + 60),
    ]
    (given_up,) = check(record, ["c1q1"], losses).given_up
    assert given_up.losses == ("orchestrator-1 at 0.00 s",)


@pytest.mark.parametrize(
    ("losses", "twice", "once", "red"),
    [(160, 21, 0, False), (160, 22, 0, True), (160, 0, 2, False), (160, 0, 3, True),
     (6, 5, 0, False), (6, 6, 0, True), (6, 0, 1, False), (6, 0, 2, True)],
)  # fmt: skip
def test_few_answers_may_be_given_up(losses: int, twice: int, once: int, red: bool) -> None:
    given_up = [GivenUp("", "", ("a", "b"))] * twice + [GivenUp("", "", ("a",))] * once
    assert bool(too_many(losses, given_up)) is red


def test_speech_is_read_back_word_by_word() -> None:
    assert understand(say("c1q1 tool 12") + bytes(640)) == "c1q1 tool 12"
    pcm = b"".join(frame(word, at, 3) for word in ("one", "two") for at in range(3))
    assert hear(pcm).words == ["one", "two"]
    assert hear(pcm[: -2 * OUTPUT_FRAME]).faults
