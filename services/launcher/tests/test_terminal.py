"""A conversation on a terminal: what is shown of it, and how it is gone on with."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest

from ensemble.client import ServiceRow
from ensemble.core.errors import (
    DeadlineExceededError,
    EnsembleError,
    PeerLostError,
    SessionNotFoundError,
)
from ensemble.launcher.__main__ import _parser
from ensemble.launcher.commands import ask, chat
from ensemble.launcher.stored import resolve
from ensemble.launcher.terminal import Chat
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, session_events_pb2, session_pb2

pytestmark = pytest.mark.unit

Event = session_events_pb2.ServerEvent


class ScriptedConversation:
    """Answers the first text with what it is given, and then ends so."""

    session_id = "ses_1"

    def __init__(self, events: list[Event], end: EnsembleError | None = None) -> None:
        self._events = events
        self._end = end
        self._asked = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def send_text(self, text: str) -> None:
        self._asked.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        await self._asked.wait()
        for event in self._events:
            yield event
        if self._end is not None:
            raise self._end
        await asyncio.Event().wait()


class ScriptedClient:
    def __init__(self, conversation: ScriptedConversation | None = None) -> None:
        self._conversation = conversation
        self.sessions = [session_pb2.Session(session_id="ses_new")]
        self.failures: list[EnsembleError] = []
        self.joined: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def list_sessions(self, *, limit: int) -> list[session_pb2.Session]:
        if self.failures:
            raise self.failures.pop(0)
        return self.sessions[:limit]

    def converse(self, **options: Any) -> ScriptedConversation:
        self.joined.append(options["session_id"])
        if self._conversation is None:
            raise LookupError
        return self._conversation

    async def ask(self, text: str, **options: Any) -> None:
        self.joined.append(options["session_id"])
        raise self.failures.pop(0) if self.failures else LookupError()

    async def status(self) -> list[ServiceRow]:
        return [
            ServiceRow("gateway", "serving", "127.0.0.1:1", "tcp", ""),
            ServiceRow("stt", "failed", "inproc:stt", "inproc", "", "No engine."),
            ServiceRow("model-router", "unreachable", "127.0.0.1:2", "tcp", ""),
        ]


def done() -> Event:
    event = Event()
    event.response_done.stop_reason = common_pb2.STOP_REASON_COMPLETED
    return event


def text(piece: str) -> Event:
    event = Event()
    event.response_text_delta.text = piece
    return event


class Keyboard(io.StringIO):
    """Somebody who types a line and then sits there."""

    def __next__(self) -> str:
        line = self.readline()
        if not line:
            threading.Event().wait()
        return line


async def talk(
    conversation: ScriptedConversation,
    monkeypatch: pytest.MonkeyPatch,
    typed: type[io.StringIO] = io.StringIO,
) -> None:
    monkeypatch.setattr("sys.stdin", typed("hi\n"))
    await asyncio.wait_for(Chat(ScriptedClient(conversation)).run(), 20)  # type: ignore[arg-type]


async def test_what_a_model_says_does_not_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await talk(ScriptedConversation([text("a\x1b[2"), text("Jb"), done()]), monkeypatch)
    out, err = capsys.readouterr()
    assert out == "a�[2Jb\n"
    assert "ensemble chat --session ses_1" in err


async def test_a_conversation_that_breaks_off_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PeerLostError):
        await talk(ScriptedConversation([text("The la")], PeerLostError()), monkeypatch, Keyboard)
    out, err = capsys.readouterr()
    assert out == "The la\n"
    assert "ensemble chat --session ses_1" in err


@pytest.mark.parametrize("module", [ask, chat])
async def test_the_last_session_is_gone_on_with(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ScriptedClient()
    monkeypatch.setattr(module, "client", lambda: client)
    monkeypatch.setattr("sys.stdin", Keyboard())
    words = ["hello"] if module is ask else []
    options = _parser().parse_args([module.__name__.split(".")[-1], *words, "--session", "last"])
    with pytest.raises(LookupError):
        await asyncio.wait_for(module.run(options), 20)
    assert client.joined == ["ses_new"]


async def test_a_gateway_that_is_not_there_yet_is_tried_for_as_long_as_was_said() -> None:
    client: Any = ScriptedClient()
    client.failures = [PeerLostError()]
    with pytest.raises(PeerLostError):
        await resolve(client, "last")
    client.failures = [PeerLostError()]
    assert await resolve(client, "last", 60.0) == "ses_new"
    client.sessions = []
    with pytest.raises(SessionNotFoundError, match="no session yet"):
        await resolve(client, "last")


async def test_a_failure_that_names_nobody_says_which_services_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ScriptedClient()
    client.failures = [DeadlineExceededError("Deadline Exceeded")]
    monkeypatch.setattr(ask, "client", lambda: client)
    with pytest.raises(DeadlineExceededError) as caught:
        await ask.run(_parser().parse_args(["ask", "hello"]))
    assert "model-router (nobody answers at 127.0.0.1:2)" in caught.value.message
    assert "stt (failed: No engine.)" in caught.value.message
    assert "gateway" not in caught.value.message


async def test_a_chat_without_an_answer_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = done()
    failed.response_done.error.CopyFrom(to_status(PeerLostError("It went silent.")))
    await talk(ScriptedConversation([failed]), monkeypatch)
    assert capsys.readouterr().out == "[It went silent. See 'ensemble status'.]\n"
