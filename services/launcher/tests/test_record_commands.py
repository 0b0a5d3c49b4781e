"""``ensemble sessions`` and ``ensemble explain``: command lines, and records as they read."""

import datetime

import pytest

from ensemble.client.records import (
    ModelCall,
    Record,
    RecordedAnswer,
    TakenUp,
    ToolRun,
    Turn,
)
from ensemble.launcher.__main__ import main
from ensemble.launcher.plain import plain
from ensemble.launcher.transcript import explanation, markdown, totals, transcript, waited

pytestmark = pytest.mark.unit

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def later(seconds: float) -> datetime.datetime:
    return NOON + datetime.timedelta(seconds=seconds)


def record() -> Record:
    runs = [
        ToolRun("lamp", {"on": True}, "server", later(0.5), [1], False, 0.2, 3),
        ToolRun("fan", {}, "client", later(0.6), {"error": "TOOL_FAILED"}, True, 0.2, 0),
    ]
    asked = ModelCall("small", "x", [], 0.1, 0.4, "tool_calls", 2, {"input_tokens": 3})
    said = ModelCall(
        "big", "y", [{"model": "small", "why": "ill"}], 0.1, 0.3, "completed", 0,
        {"input_tokens": 4, "output_tokens": 5, "cost": 0.25, "currency": "USD"},
    )  # fmt: skip
    answer = RecordedAnswer(
        later(0), later(2), "The lamp is on.", stop_reason="completed",
        steps=[asked, *runs, said],
        usage={"input_tokens": 7, "output_tokens": 5, "cost": 0.25, "currency": "USD"},
    )  # fmt: skip
    turns = [
        Turn("typed", later(0), "lamp \x1b[31mon", True, [answer]),
        Turn("spoken", later(5), "", False, [RecordedAnswer(later(5), text="Sorry")]),
        Turn("notice", later(9), "The timer rings."),
    ]
    return Record("ses_1", NOON, turns, 20)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions"],
        ["sessions", "fly"],
        ["sessions", "show"],
        ["sessions", "list", "--limit", "0"],
        ["sessions", "replay", "last", "--speed", "-1"],
        ["sessions", "replay", "last", "--speed", "nan"],
        ["sessions", "export", "last", "--format", "pdf"],
        ["sessions", "verify", "last", "--all"],
        ["sessions", "erase"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: ensemble sessions" in capsys.readouterr().err


def test_all_is_not_erased_unless_it_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "erase", "--all"]) == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "action",
    ["list", "show", "export", "replay", "verify", "erase", "backup", "restore", "retain"],
)
def test_each_action_has_help(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sessions", action, "--help"])
    assert caught.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_a_transcript_has_tools_and_what_was_not_understood() -> None:
    shown = transcript(record())
    assert "Ensemble: The lamp is on." in shown
    assert 'lamp {"on": true} → [1] (0.200 s, 3 bytes)' in shown
    assert "fan at the client {} → failed:" in shown
    assert "(not understood)" in shown
    assert "Notice: The timer rings." in shown
    assert "Sorry [under way]" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in markdown(record())


def test_what_commands_a_terminal_is_not_shown() -> None:
    assert plain("a\x1b[2Jb\r\n") == "a�[2Jb�\n"
    assert plain("\x9b2J\u202eabc") == "�2J�abc"
    assert plain("10\u00a0km \U0001f468\u200d\U0001f469\t!") == "10\u00a0km 👨\u200d👩\t!"


def test_an_explanation_says_what_was_waited_for() -> None:
    told = record()
    (answer,) = told.turns[0].answers
    wait = waited(answer)
    assert wait["all"] == pytest.approx(2)
    assert wait["models"] == pytest.approx(0.7)
    assert wait["tools"] == pytest.approx(0.3)  # 0.5 to 0.8: they ran side by side
    assert wait["rest"] == pytest.approx(1.0)
    sums = totals(told)
    assert (sums["turns"], sums["model_calls"], sums["tool_runs"]) == (3, 2, 2)
    assert (sums["input_tokens"], sums["output_tokens"]) == (7, 5)
    assert sums["cost"] == {"USD": 0.25}
    tree = explanation(told)
    assert "model small (x): first output 0.100 s, latency 0.400 s" in tree
    assert "asked for 2 tools" in tree
    assert "model big (y) instead of small" in tree
    assert "4 → 5 tokens, 0.250000 USD" in tree
    assert tree.splitlines()[-1].startswith("└─ total: 2 model calls, 2 tools, 7 → 5 tokens")


def test_an_explanation_shows_a_loss_and_how_long_it_was_silent() -> None:
    told = record()
    told.turns[0].answers[0].steps.insert(1, TakenUp(later(0.5), 0.9))
    assert "lost, taken up again after 0.900 s" in explanation(told)


def test_an_explanation_tells_what_is_under_way_from_what_was_cut_off() -> None:
    told = record()
    (answer,) = told.turns[0].answers
    asked, said = answer.models
    asked.latency_s, asked.cut_s, said.latency_s = None, 0.8, None
    tree = explanation(told)
    assert "model small (x): cut off after 0.800 s" in tree
    assert "model big (y) instead of small: under way" in tree
    assert waited(answer)["models"] == pytest.approx(0.8)


def test_an_explanation_of_speech_says_what_was_heard_and_how_long_it_spoke_on() -> None:
    told = record()
    told.turns[0].audio_s = 1.25
    (answer,) = told.turns[0].answers
    answer.spoken, answer.written = True, later(1.5)
    tree = explanation(told)
    assert "heard: 1.250 s of sound" in tree
    assert "tools 0.300 s, speech 0.500 s, the rest 0.500 s" in tree


def test_one_thing_is_not_several() -> None:
    told = record()
    (answer,) = told.turns[0].answers
    answer.steps = answer.steps[:2]
    answer.models[0].tool_calls = 1
    tree = explanation(told)
    assert "asked for 1 tool\n" in tree
    assert "total: 1 model call, 1 tool," in tree
