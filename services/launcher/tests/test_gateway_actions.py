"""What ``ensemble sessions`` has the gateway do: checking, erasing, playing again."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Self

import pytest

from ensemble.core.errors import (
    EnsembleError,
    RateLimitedError,
    SessionNotFoundError,
    StorageCorruptError,
)
from ensemble.launcher.__main__ import _parser
from ensemble.launcher.commands import sessions
from ensemble.v1 import gateway_service_pb2, session_events_pb2, session_pb2

pytestmark = pytest.mark.unit


class ScriptedGateway:
    """A gateway with three sessions, as a client sees it."""

    def __init__(self) -> None:
        self.names = ["ses_a", "ses_b", "ses_c"]
        self.outcomes: dict[str, list[EnsembleError | bool]] = {}
        self.erased: list[str] = []
        self.record: list[session_events_pb2.ServerEvent] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def list_sessions(self, *, limit: int) -> list[session_pb2.Session]:
        return [session_pb2.Session(session_id=name) for name in self.names[:limit]]

    async def get_session(self, name: str) -> session_pb2.Session:
        if name not in self.names:
            raise SessionNotFoundError
        return session_pb2.Session(session_id=name)

    async def verify_session(self, name: str) -> session_pb2.SessionAudit:
        outcome = self.outcomes[name].pop(0) if self.outcomes.get(name) else True
        if isinstance(outcome, EnsembleError):
            raise outcome
        return session_pb2.SessionAudit(session_id=name, intact=outcome, events=2)

    async def erase_sessions(
        self, name: str, *, every: bool
    ) -> gateway_service_pb2.EraseSessionsResponse:
        self.erased.append("all" if every else name)
        return gateway_service_pb2.EraseSessionsResponse(sessions=1, events=2, things=1)

    async def replay_session(self, name: str) -> AsyncIterator[session_events_pb2.ServerEvent]:
        for event in self.record:
            yield event


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> ScriptedGateway:
    scripted = ScriptedGateway()
    monkeypatch.setattr(sessions, "client", lambda: scripted)
    return scripted


async def run(*arguments: str) -> int:
    options = _parser().parse_args(["sessions", *arguments])
    return await asyncio.wait_for(sessions.run(options), 30)


async def test_many_sessions_are_checked_as_fast_as_the_gateway_likes(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.outcomes["ses_b"] = [RateLimitedError(retry_after=0.01), RateLimitedError(), True]
    assert await run("verify", "--all") == 0
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["ses_a", "intact"], ["ses_b", "intact"], ["ses_c", "intact"],
    ]  # fmt: skip
    assert "3 sessions checked, 0 broken." in err


async def test_what_is_broken_or_gone_does_not_stop_the_check_of_the_others(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.outcomes = {"ses_a": [StorageCorruptError()], "ses_b": [SessionNotFoundError()]}
    assert await run("verify", "--all", "--json") == 1
    rows = json.loads(capsys.readouterr().out)["sessions"]
    assert [(row["session_id"], row["intact"]) for row in rows] == [
        ("ses_a", False), ("ses_c", True),
    ]  # fmt: skip
    gateway.outcomes = {"ses_b": [SessionNotFoundError()]}
    with pytest.raises(SessionNotFoundError):
        await run("verify", "ses_b")


async def test_one_session_is_erased_only_if_it_is_meant_and_it_is_said_what_stays(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SessionNotFoundError):
        await run("erase", "ses_nothing")
    assert await run("erase", "last") == 2
    asked = capsys.readouterr().err
    assert gateway.erased == []
    assert "said in session ses_a" in asked
    assert "timers and reminders stay" in asked
    assert "--all" in asked
    assert "--yes" in asked
    assert await run("erase", "last", "--yes") == 0
    assert gateway.erased == ["ses_a"]
    assert "timers and reminders stay" in capsys.readouterr().out
    assert await run("erase", "--all", "--yes") == 0
    assert "stay" not in capsys.readouterr().out


async def test_a_person_at_a_terminal_is_asked(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(("\n", "y\n"))

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return next(answers)

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert await run("erase", "--all") == 2
    assert gateway.erased == []
    assert await run("erase", "--all") == 0
    assert gateway.erased == ["all"]
    assert "Do it? [y/N]" in capsys.readouterr().err


def notice(text: str, at: float) -> session_events_pb2.ServerEvent:
    event = session_events_pb2.ServerEvent()
    event.notice.text = text
    event.created_at.FromMilliseconds(int(at * 1000))
    return event


async def test_a_long_pause_is_cut_and_it_is_shown_how_long_it_was(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.record = [notice("a", 1000.0), notice("b", 1000.01), notice("c", 1000.01 + 7265.0)]
    assert await run("replay", "last", "--speed", "50") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["a", "b", "later)", "c"]
    assert lines[2].strip() == "(2:01:05 later)"
    gateway.record = gateway.record[:2]
    assert await run("replay", "last", "--longest-pause", "none") == 0
    assert "later" not in capsys.readouterr().out


def test_output_that_cannot_be_written_is_a_plain_failure() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ensemble.launcher", "doctor"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=100,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
