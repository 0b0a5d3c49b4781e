"""A record becomes turns, from its events alone."""

import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ensemble.client import Record, read_record
from ensemble.client.records import ModelCall, TakenUp
from ensemble.v1 import common_pb2, session_events_pb2, tool_pb2

pytestmark = pytest.mark.unit

BEGIN = 1_800_000_000_000
"""Milliseconds since the epoch."""


async def read(*events: tuple[int, dict[str, Any]]) -> Record:
    async def stream() -> AsyncIterator[session_events_pb2.ServerEvent]:
        for number, (at_ms, fields) in enumerate(events, 1):
            event = session_events_pb2.ServerEvent(sequence=number, **fields)
            event.created_at.FromMilliseconds(BEGIN + at_ms)
            yield event

    return await read_record("ses_1", stream())


def model_done(**rest: Any) -> dict[str, Any]:
    done = session_events_pb2.ResponseModelDone(response_id="r", **rest)
    done.first_output.FromMilliseconds(50)
    done.latency.FromMilliseconds(80)
    return {"response_model_done": done}


STARTED = {"started": {"session": {"session_id": "ses_1"}}}
SAID = {"input_committed": {"turn_id": "t", "text": "lamp on"}}
BEGUN = {"response_started": {"response_id": "r", "turn_id": "t"}}
MODEL = {"response_model": {"response_id": "r", "model": {"model": "small", "engine": "x"}}}
CALL = {
    "response_tool_call": {
        "response_id": "r",
        "call": {"call_id": "c", "name": "lamp", "arguments_json": '{"on": true}'},
        "executor": tool_pb2.TOOL_EXECUTOR_SERVER,
    }
}
RESULT = {
    "response_tool_done": {"response_id": "r", "result": {"call_id": "c", "result_json": "[1]"}}
}
DONE = {
    "response_done": {
        "response_id": "r",
        "stop_reason": common_pb2.STOP_REASON_COMPLETED,
        "outcome": common_pb2.OUTCOME_ANSWERED,
        "usage": {"input_tokens": 3, "output_tokens": 5},
        "heard": {"end": 2},
    }
}


def text(piece: str) -> dict[str, Any]:
    return {"response_text_delta": {"response_id": "r", "text": piece}}


async def test_an_answer_with_a_tool() -> None:
    record = await read(
        (0, STARTED),
        (10, SAID),
        (11, BEGUN),
        (20, MODEL),
        (90, CALL),
        (90, model_done(stop_reason=common_pb2.STOP_REASON_TOOL_CALLS, tool_calls=1)),
        (115, RESULT),
        (120, MODEL),
        (150, text("o")),
        (160, text("n")),
        (200, model_done(stop_reason=common_pb2.STOP_REASON_COMPLETED)),
        (201, DONE),
    )
    assert record.created == datetime.datetime.fromtimestamp(BEGIN / 1000, datetime.UTC)
    assert record.events == 12
    (turn,) = record.turns
    assert (turn.kind, turn.text, turn.understood) == ("typed", "lamp on", True)
    (answer,) = turn.answers
    assert (answer.text, answer.stop_reason, answer.heard) == ("on", "completed", None)
    assert answer.usage == {"input_tokens": 3, "output_tokens": 5}
    first, second = answer.models
    assert (first.model, first.engine, first.stop_reason) == ("small", "x", "tool_calls")
    assert (first.tool_calls, first.first_output_s, first.latency_s) == (1, 0.05, 0.08)
    assert second.stop_reason == "completed"
    (run,) = answer.tools
    assert (run.name, run.arguments, run.result) == ("lamp", {"on": True}, [1])
    assert (run.failed, run.executor, run.result_bytes) == (False, "server", 3)
    assert run.duration_s == pytest.approx(0.025)


async def test_what_is_under_way_has_no_end() -> None:
    record = await read((0, SAID), (1, BEGUN), (2, MODEL), (3, CALL))
    (answer,) = record.turns[0].answers
    assert answer.ended is None
    assert answer.stop_reason == ""
    assert (answer.models[0].latency_s, answer.models[0].cut_s) == (None, None)
    assert (answer.tools[0].duration_s, answer.tools[0].failed) == (None, True)


async def test_a_call_that_was_stopped_took_until_the_answer_ended() -> None:
    """That a model took the call is recorded with its first text, or as late as the end."""
    stopped = {
        "response_done": {
            "response_id": "r", "stop_reason": common_pb2.STOP_REASON_CANCELLED,
        }
    }  # fmt: skip
    record = await read((0, SAID), (1, BEGUN), (3017, MODEL), (3017, stopped))
    (call,) = record.turns[0].answers[0].models
    assert (call.latency_s, call.cut_s) == (None, pytest.approx(3.016))


async def test_a_spoken_turn_says_how_much_was_heard_and_how_long_it_spoke_on() -> None:
    spoken_session = {
        "started": {
            "session": {
                "config": {
                    "input_audio": {"sample_rate_hertz": 16000},
                    "output_audio": {"sample_rate_hertz": 22050},
                }
            }
        }
    }

    def said(turn: str, samples: int) -> dict[str, Any]:
        accepted = {"samples": samples}
        return {"input_committed": {"turn_id": turn, "spoken": True, "accepted": accepted}}

    written = {"response_text_done": {"response_id": "r", "text": "on"}}
    record = await read(
        (0, spoken_session), (10, said("t", 16000)), (11, BEGUN), (20, MODEL), (30, text("on")),
        (40, model_done()), (40, written), (540, DONE), (900, said("u", 40000)),
    )  # fmt: skip
    assert [turn.audio_s for turn in record.turns] == [1.0, 1.5]
    (answer,) = record.turns[0].answers
    assert answer.spoken
    assert answer.written is not None
    assert answer.ended is not None
    assert (answer.ended - answer.written).total_seconds() == pytest.approx(0.5)


async def test_an_answer_that_outlived_a_loss_says_so() -> None:
    resumed = {"response_resumed": {"response_id": "r"}}
    record = await read(
        (0, SAID), (1, BEGUN), (2, MODEL), (5, text("o")), (905, resumed), (910, MODEL),
        (920, text("n")), (930, model_done()), (931, DONE),
    )  # fmt: skip
    (answer,) = record.turns[0].answers
    lost, taken_up, said = answer.steps
    assert (answer.text, [lost, said]) == ("on", answer.models)
    assert (lost.latency_s, said.latency_s) == (None, 0.08)
    assert isinstance(lost, ModelCall)
    assert (lost.cut_s, lost.took_s) == (pytest.approx(0.004), pytest.approx(0.004))
    assert isinstance(taken_up, TakenUp)
    assert taken_up.silent_s == 0.9


async def test_a_model_that_took_over_is_named_with_the_one_that_failed() -> None:
    taken = {
        "response_model_substituted": {
            "response_id": "r",
            "substitution": {
                "from_model": "small",
                "to_model": "big",
                "reason": {"message": "ill"},
            },
        }
    }
    record = await read((0, SAID), (1, BEGUN), (2, MODEL), (3, taken), (4, model_done()), (5, DONE))
    (call,) = record.turns[0].answers[0].models
    assert (call.model, call.engine) == ("big", "")
    assert call.substituted == [{"model": "small", "why": "ill"}]
    assert call.latency_s == 0.08


async def test_what_is_said_unasked_and_what_was_not_understood() -> None:
    mumble = {"input_committed": {"turn_id": "m", "spoken": True, "rejected": True}}
    notice = {"notice": {"text": "The timer rings."}}
    unasked = {"response_started": {"response_id": "u"}}
    record = await read((0, mumble), (1, notice), (2, unasked))
    assert [(turn.kind, turn.understood) for turn in record.turns] == [
        ("spoken", False), ("notice", True), ("unasked", True),
    ]  # fmt: skip


async def test_erased_and_unknown_events_are_no_harm() -> None:
    record = await read((0, {}), (1, DONE), (2, text("stray")), (3, RESULT))
    assert (record.turns, record.events) == ([], 4)
