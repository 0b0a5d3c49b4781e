"""The turn as a LangGraph graph that saves its state after each node."""

import asyncio
import operator
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from tests.bench.durable.engine import Took
from tests.bench.durable.files import sqlite_size
from tests.bench.durable.work import ARGUMENTS, QUESTION, RESULT, TOOL, Work

_CONNECTIONS = 16

Message = dict[str, Any]


class State(TypedDict):
    """A dialogue: plain dicts, which cost LangGraph less than its message classes."""

    messages: Annotated[list[Message], operator.add]


class LangGraphEngine:
    """Takes turns of threads. ``entered`` counts answers that the model began."""

    def __init__(self, saver: Any, work: Work, store: str) -> None:
        self._work = work
        self._store = store
        self._saver = saver
        self._rest: dict[str, Any] = {"durability": "sync"} if saver else {}
        self.entered = 0
        self._unread: list[AsyncIterator[Any]] = []
        graph = StateGraph(State)
        graph.add_node("model", self._model)
        graph.add_node("tool", self._tool)
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", _after_model)
        graph.add_edge("tool", "model")
        self._graph = graph.compile(checkpointer=saver)

    async def _model(self, state: State) -> dict[str, list[Message]]:
        work = self._work
        if work.tool and state["messages"][-1]["role"] == "user":
            call = {"id": "call", "name": TOOL, "arguments": ARGUMENTS}
            return {"messages": [{"role": "assistant", "text": "", "calls": [call]}]}
        self.entered += 1
        if work.pause_s:
            await asyncio.sleep(work.pause_s)
        write = get_stream_writer()
        for piece in work.answer:
            write(piece)
            if work.piece_s:
                await asyncio.sleep(work.piece_s)
        return {"messages": [{"role": "assistant", "text": "".join(work.answer), "calls": []}]}

    async def _tool(self, state: State) -> dict[str, list[Message]]:
        return {"messages": [{"role": "tool", "id": "call", "result": RESULT}]}

    async def turn(self, dialogue: int) -> Took:
        """See ``Engine.turn``."""
        begin, first, said = time.perf_counter(), 0.0, 0
        asked: State = {"messages": [{"role": "user", "text": QUESTION}]}
        async for piece in self.pieces(dialogue, asked):
            first = first or time.perf_counter()
            said += len(piece)
        if said != sum(map(len, self._work.answer)):
            raise RuntimeError("a piece of the answer is missing")
        return Took(first - begin, time.perf_counter() - begin)

    def pieces(self, dialogue: int, asked: State | None) -> AsyncIterator[Any]:
        """Run the graph and yield pieces; None goes on where the thread stood."""
        config: Any = {"configurable": {"thread_id": str(dialogue)}}
        return self._graph.astream(asked, config, stream_mode="custom", **self._rest)

    async def ask_and_read_no_more(self, dialogue: int) -> None:
        """See ``Engine.ask_and_read_no_more``."""
        asked: State = {"messages": [{"role": "user", "text": QUESTION}]}
        unread = self.pieces(dialogue, asked)
        await anext(unread)
        self._unread.append(unread)

    async def size(self) -> int:
        """See ``Engine.size``."""
        if "://" not in self._store:
            return sqlite_size(Path(self._store))
        async with self._saver.conn.connection() as connection:
            await connection.execute("CHECKPOINT")
            cursor = await connection.execute("SELECT pg_database_size(current_database()) AS n")
            return int((await cursor.fetchone())["n"])


def _after_model(state: State) -> str:
    return "tool" if state["messages"][-1]["calls"] else END


@asynccontextmanager
async def open_langgraph(store: str, work: Work) -> AsyncIterator[LangGraphEngine]:
    """Give a graph whose threads are saved in ``store``."""
    async with AsyncExitStack() as stack:
        saver: Any = None
        if "://" in store:
            pool: Any = AsyncConnectionPool(
                store,
                min_size=_CONNECTIONS,
                max_size=_CONNECTIONS,
                open=False,
                kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
            )
            await stack.enter_async_context(pool)
            saver = AsyncPostgresSaver(pool)
        elif store:
            saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(store))
        if saver:
            await saver.setup()
        yield LangGraphEngine(saver, work, store)
