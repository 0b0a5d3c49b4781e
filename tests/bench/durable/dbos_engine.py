"""The turn as a DBOS workflow of three steps."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from dbos import DBOS, DBOSConfig

from tests.bench.durable.engine import Took
from tests.bench.durable.files import sqlite_size
from tests.bench.durable.work import ARGUMENTS, QUESTION, RESULT, TOOL, Work

EXECUTOR: Final = "bench"
"""A process that starts under the name of one that died takes its workflows over."""

Message = dict[str, Any]


class DbosEngine:
    """Takes turns; one in a process, for DBOS is global. ``entered`` counts answers begun."""

    def __init__(self, store: str, work: Work, *, tokens: bool) -> None:
        self._store = store
        self._work = work
        self._tokens = tokens
        self._said: dict[int, list[Message]] = {}
        self._first: dict[int, float] = {}
        self.entered = 0
        self._turn = self._workflow()

    def _workflow(self) -> Any:
        """Register the workflow and its steps, which DBOS wants to be functions."""

        @DBOS.step()
        async def ask(dialogue: int) -> Message:
            return {"id": "call", "name": TOOL, "arguments": ARGUMENTS}

        @DBOS.step()
        async def call(asked: Message) -> Message:
            return dict(RESULT)

        @DBOS.step()
        async def answer(dialogue: int) -> str:
            return await self._answer(dialogue)

        @DBOS.workflow()
        async def turn(dialogue: int, question: str) -> str:
            said = self._said.setdefault(dialogue, [])
            said.append({"role": "user", "text": question})
            if self._work.tool:
                asked = await ask(dialogue)
                result = await call(asked)
                said.append({"role": "assistant", "calls": [asked]})
                said.append({"role": "tool", "result": result})
            text = await answer(dialogue)
            said.append({"role": "assistant", "text": text})
            return text

        return turn

    async def _answer(self, dialogue: int) -> str:
        self.entered += 1
        if self._work.pause_s:
            await asyncio.sleep(self._work.pause_s)
        for piece in self._work.answer:
            if self._tokens:
                await DBOS.write_stream_async("answer", piece)
            self._first.setdefault(dialogue, time.perf_counter())
            if self._work.piece_s:
                await asyncio.sleep(self._work.piece_s)
        return "".join(self._work.answer)

    async def turn(self, dialogue: int) -> Took:
        """See ``Engine.turn``."""
        self._first.pop(dialogue, None)
        begin = time.perf_counter()
        if await self._turn(dialogue, QUESTION) != "".join(self._work.answer):
            raise RuntimeError("a piece of the answer is missing")
        return Took(self._first[dialogue] - begin, time.perf_counter() - begin)

    async def ask_and_read_no_more(self, dialogue: int) -> None:
        """See ``Engine.ask_and_read_no_more``: whoever wants a piece reads it from the store."""
        await self._turn(dialogue, QUESTION)

    async def size(self) -> int:
        """See ``Engine.size``."""
        if "://" not in self._store:
            return sqlite_size(Path(self._store))
        url = sqlalchemy.make_url(self._store).set(drivername="postgresql+psycopg")
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("CHECKPOINT"))
            query = sqlalchemy.text("SELECT pg_database_size(current_database())")
            return int(connection.execute(query).scalar_one())


@asynccontextmanager
async def open_dbos(store: str, work: Work, *, tokens: bool) -> AsyncIterator[DbosEngine]:
    """Launch DBOS on ``store``, which takes up what a process before it left open.

    A file is switched to a write-ahead log first, which spares DBOS an fsync or two.
    """
    url = store
    if "://" not in store:
        url = f"sqlite:///{store}"
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "executor_id": EXECUTOR,
        "application_version": "1",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    engine = DbosEngine(store, work, tokens=tokens)
    DBOS.launch()
    try:
        yield engine
    finally:
        DBOS.destroy()
