"""The turn through the orchestrator's servicer, its peers being scripted."""

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import grpc

from ensemble.orchestrator.app import OrchestratorService
from ensemble.orchestrator.response import Peers
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.tool_runner import ToolBox
from ensemble.runtime.garbage import relax_collector
from ensemble.runtime.service import Channels
from ensemble.transport import open_channel
from ensemble.v1 import (
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
)
from tests.bench.durable.engine import Took
from tests.bench.durable.files import sqlite_size
from tests.bench.durable.peers import WorkModel, WorkModelRouter, WorkTools, WorkToolServer
from tests.bench.durable.work import QUESTION, Work
from tests.bench.instant_log import InstantLog
from tests.bench.scripted_node import Dialled, ScriptedNode, serve

SESSIONS: Final = 4096
"""Conversations that stay in memory: none is read from its log again while it is measured."""


class Dialogue:
    """One session's stream, from its client's side. Used as a context manager.

    Attributes:
        sequence: Of the last event of the record that came.
        text: What was said since the last question.
        said: What was said in each response.
        ended: The answer's end was the last thing that came.

    Args:
        stub: Of the orchestrator.
        session_id: A session to attach to again; empty for a new one.
        after: What the client has of it.
    """

    def __init__(self, stub: Any, session_id: str = "", after: int = 0) -> None:
        self._call: Any = stub.RunSession()
        self._start = session_events_pb2.SessionStart(
            session_id=session_id, resume_from_sequence=after
        )
        self.session_id = session_id
        self.sequence = 0
        self.text = ""
        self.said: dict[str, str] = {}
        self.ended = False

    async def __aenter__(self) -> "Dialogue":
        await self.send(start=self._start)
        event = await self.until("started")
        self.session_id = event.started.session.session_id
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()

    async def send(self, **event: Any) -> None:
        """Send one client event."""
        wrapped = session_events_pb2.ClientEvent(**event)
        await self._call.write(orchestrator_service_pb2.RunSessionRequest(event=wrapped))

    async def until(self, *branches: str) -> session_events_pb2.ServerEvent:
        """Read until an event of these kinds; the text that comes is added to ``text``.

        Raises:
            RuntimeError: The stream ended before.
        """
        while (response := await self._call.read()) is not grpc.aio.EOF:
            event: session_events_pb2.ServerEvent = response.event
            kind = event.WhichOneof("event")
            self.sequence = max(self.sequence, event.sequence)
            if kind == "response_text_delta":
                delta = event.response_text_delta
                self.text += delta.text
                self.said[delta.response_id] = self.said.get(delta.response_id, "") + delta.text
            self.ended = kind == "response_done"
            if kind in branches:
                return event
        raise RuntimeError(f"the session ended before {branches}")

    async def turn(self, said: int) -> Took:
        """Ask, and take in the answer, which has so many characters."""
        self.text = ""
        self.said.clear()
        begin = time.perf_counter()
        await self.send(input_text={"text": QUESTION})
        await self.until("response_text_delta")
        first = time.perf_counter()
        done = await self.until("response_done")
        if len(self.text) != said:
            raise RuntimeError(f"a piece of the answer is missing: {done}")
        return Took(first - begin, time.perf_counter() - begin)


class _Injected(OrchestratorService):
    """An orchestrator whose model and tools are plain objects."""

    def __init__(self, settings: OrchestratorSettings, channels: Channels, work: Work) -> None:
        super().__init__(settings, channels)
        self._work = work

    def _make_peers(self) -> Peers:
        peers = super()._make_peers()
        toolbox = ToolBox(WorkTools())
        return dataclasses.replace(peers, model=WorkModel(self._work), toolbox=toolbox)


class EnsembleEngine:
    """Takes turns of sessions whose streams stay open."""

    def __init__(
        self,
        address: str,
        store: str,
        work: Work,
        stack: AsyncExitStack,
        service: OrchestratorService,
        router: WorkModelRouter,
    ) -> None:
        channel = open_channel(address)
        stack.push_async_callback(channel.close)
        self.stub = orchestrator_service_pb2_grpc.OrchestratorServiceStub(channel)
        self._store = store
        self._said = sum(map(len, work.answer))
        self._stack = stack
        self._open: dict[int, Dialogue] = {}
        self._service = service
        self._router = router

    @property
    def entered(self) -> int:
        """See ``Engine.entered``."""
        return self._router.entered

    @property
    def commits(self) -> int:
        """Transactions of the log so far."""
        return self._service.commits

    async def ask_and_read_no_more(self, dialogue: int) -> None:
        """See ``Engine.ask_and_read_no_more``."""
        stream = await self.dialogue(dialogue)
        await stream.send(input_text={"text": QUESTION})
        await stream.until("response_text_delta")

    async def dialogue(self, number: int) -> Dialogue:
        """Return the stream of a dialogue."""
        if number not in self._open:
            stream = Dialogue(self.stub)
            self._open[number] = await self._stack.enter_async_context(stream)
        return self._open[number]

    async def turn(self, dialogue: int) -> Took:
        """See ``Engine.turn``."""
        return await (await self.dialogue(dialogue)).turn(self._said)

    async def size(self) -> int:
        """See ``Engine.size``."""
        if "://" in self._store:
            return await postgres_size(self._store)
        return sqlite_size(Path(self._store))


class PortEngine:
    """Takes turns by calling the servicer, without a channel on either side."""

    def __init__(self, service: OrchestratorService, work: Work) -> None:
        self._servicer = service._servicer
        self._said = sum(map(len, work.answer))
        self._sessions: dict[int, str] = {}

    async def turn(self, dialogue: int) -> Took:
        """See ``Engine.turn``. The answer comes as a whole: its first piece is its end."""
        begin = time.perf_counter()
        known: Any = None  # a context, which the servicer does not look at
        if dialogue not in self._sessions:
            opened = await self._servicer.OpenSession(
                orchestrator_service_pb2.OpenSessionRequest(), known
            )
            self._sessions[dialogue] = opened.session.session_id
        done = await self._servicer.HandleTurn(
            orchestrator_service_pb2.HandleTurnRequest(
                session_id=self._sessions[dialogue], text=QUESTION
            ),
            known,
        )
        if len(done.text) != self._said:
            raise RuntimeError(f"a piece of the answer is missing: {done}")
        return Took(time.perf_counter() - begin, time.perf_counter() - begin)

    async def size(self) -> int:
        """See ``Engine.size``."""
        return 0

    @property
    def entered(self) -> int:
        """See ``Engine.entered``."""
        return 0

    async def ask_and_read_no_more(self, dialogue: int) -> None:
        """See ``Engine.ask_and_read_no_more``: it has no stream to leave unread."""
        await self.turn(dialogue)


@asynccontextmanager
async def open_ensemble(
    store: str, work: Work, *, injected: bool
) -> AsyncIterator[EnsembleEngine | PortEngine]:
    """Give an orchestrator among scripted peers, its log in ``store``."""
    async with AsyncExitStack() as stack:
        router = WorkModelRouter(work)
        node = await stack.enter_async_context(
            ScriptedNode("inproc", router=router, tools=WorkToolServer())
        )
        channels = Dialled(node.addresses, stack)
        settings = _settings(store)
        service = (
            _Injected(settings, channels, work)
            if injected
            else OrchestratorService(settings, channels)
        )
        address = await serve("orchestrator", service.add_to, "inproc", stack)
        patched: Any = contextlib.nullcontext()
        if not store:
            patched = patch("ensemble.orchestrator.app.SqliteEventLog", InstantLog)
        with patched:
            await service.start()
        stack.push_async_callback(service.close)
        relax_collector()
        if injected:
            yield PortEngine(service, work)
        else:
            yield EnsembleEngine(address, store, work, stack, service, router)


def _settings(store: str) -> OrchestratorSettings:
    if "://" in store:
        return OrchestratorSettings(store=store, sessions_in_memory=SESSIONS)
    return OrchestratorSettings(log=Path(store or "unused"), sessions_in_memory=SESSIONS)


async def postgres_size(dsn: str) -> int:
    """Return the bytes of a database after a checkpoint."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CHECKPOINT")
        return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await connection.close()
