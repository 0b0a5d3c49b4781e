"""What the writing thread of the SQLite log does inside a transaction."""

import sqlite3
from collections import OrderedDict
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from ensemble.eventlog import chain, loading, queries, retention
from ensemble.eventlog.event_log import Append, Event, Execution, StreamKey
from ensemble.eventlog.records import IS_EMPTY, Batch, Sums, digest_of
from ensemble.eventlog.stored_event_log import DROP_PAGE, DroppedPage, OldStreams
from ensemble.eventlog.stream_state import StreamState

T = TypeVar("T")

_KNOWN_STREAMS: Final = 4096
"""Streams whose state the writer remembers, so that an append reads nothing."""

ERASE_PAGE: Final = 1000
"""Events that are erased in one transaction, so that appends need not wait for long."""

_CONTENT: Final = queries.for_sqlite(queries.CONTENT)
_CHAIN: Final = queries.for_sqlite(queries.CHAIN)
_DELETE_EVENTS: Final = queries.for_sqlite(retention.DELETE_EVENTS)
_MOVE_BASE: Final = queries.for_sqlite(retention.MOVE_BASE)


@dataclass(frozen=True, slots=True)
class Written:
    """The events that one append made."""

    events: list[Event]


@dataclass(slots=True)
class _State(StreamState):
    position: int = 0
    mark: str | None = None


class StreamWriter:
    """Appends to streams and erases them; used by the writing thread only."""

    def __init__(self) -> None:
        self._known: OrderedDict[StreamKey, _State] = OrderedDict()

    def forget(self, stream: StreamKey) -> None:
        """Read the state of ``stream`` again when it is next needed."""
        self._known.pop(stream, None)

    def forget_all(self) -> None:
        """Read every state again: something was undone."""
        self._known.clear()

    def append(
        self, connection: sqlite3.Connection, batch: Sequence[Append], now: int, fence: int
    ) -> Written:
        """Write ``batch``; see ``EventLog.append``. ``now`` is in nanoseconds."""
        execute = connection.execute
        events: list[Event] = []
        touched: dict[StreamKey, _State] = {}
        for item in batch:
            state = touched.get(item.stream)
            if state is None:
                state = touched[item.stream] = self._state(connection, item, now, fence)
            event = state.take(item, now, fence)
            state.position = _lastrowid(
                execute(
                    "INSERT INTO events (stream, seq, type, schema_version, created_at, payload, "
                    "text, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        state.id,
                        event.seq,
                        event.type,
                        event.schema_version,
                        event.created_at,
                        event.payload,
                        event.text,
                        state.chain,
                    ),
                )
            )
            if item.mark is not None:
                state.mark = item.mark
            if item.execution is not None:
                _put_execution(connection, state, item.execution)
            if item.snapshot is not None:
                execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)",
                    (state.id, event.seq, item.snapshot, state.seal(item.snapshot)),
                )
            events.append(event)
        for key, state in touched.items():
            self._save(connection, key, state)
        while len(self._known) > _KNOWN_STREAMS:
            self._known.popitem(last=False)
        return Written(events)

    def _save(self, connection: sqlite3.Connection, key: StreamKey, state: _State) -> None:
        connection.execute(
            "UPDATE streams SET last_seq = ?, position = ?, updated_at = ?, chain = ?, "
            "secret = ?, mark = coalesce(?, mark) WHERE id = ?",
            (
                state.last_seq,
                state.position,
                state.updated_at,
                state.chain,
                state.secret,
                state.mark,
                state.id,
            ),
        )
        state.mark = None
        self._known[key] = state
        self._known.move_to_end(key)

    def _state(self, connection: sqlite3.Connection, item: Append, now: int, fence: int) -> _State:
        known = self._known.get(item.stream)
        if known is not None:
            return known
        key = item.stream
        row = connection.execute(
            "SELECT id, last_seq, updated_at, fence, chain, secret FROM streams "
            "WHERE kind = ? AND name = ?",
            (key.kind, key.name),
        ).fetchone()
        state = _State(*row) if row else _State(0, 0, now, 0, chain.START, b"")
        if not state.last_seq:
            state.fence = state.fence or (fence if item.own else 0)
            state.id = make_stream(connection, key, item.owner, state.fence, now)
        return state

    def erase(self, connection: sqlite3.Connection, stream: StreamKey, after: int) -> list[int]:
        """Erase the content of up to ``ERASE_PAGE`` events of a stream with ``seq`` > ``after``
        and return their ``seq``.

        Fewer than a page are the last: with them go secret, owner and snapshot.
        """
        self.forget(stream)
        row = connection.execute(
            "SELECT id, secret FROM streams WHERE kind = ? AND name = ?", (stream.kind, stream.name)
        ).fetchone()
        if not row:
            return []
        id_, secret = row
        rows = connection.execute(_CONTENT, (id_, after, ERASE_PAGE)).fetchall()
        connection.executemany(
            "UPDATE events SET digest = ?, payload = x'', text = '' WHERE position = ?",
            [
                (chain.digest(secret, seq, payload, text), position)
                for position, seq, payload, text in rows
            ],
        )
        if len(rows) < ERASE_PAGE:
            connection.execute("UPDATE streams SET owner = '', secret = x'' WHERE id = ?", (id_,))
            connection.execute("DELETE FROM snapshots WHERE stream = ?", (id_,))
        return [seq for _, seq, _, _ in rows]

    def drop_page(
        self, connection: sqlite3.Connection, stream: StreamKey, which: OldStreams
    ) -> DroppedPage:
        """See ``StoredEventLog._drop_page``."""
        execute = connection.execute
        row = execute(
            queries.for_sqlite(retention.look(which)), (which.kind, which.before, stream.name)
        ).fetchone()
        if not row:
            return DroppedPage()
        page = retention.page(row, execute(_CHAIN, (row[0], row[4], DROP_PAGE)).fetchall())
        if page.dropped.events:
            self.forget(stream)
            execute(_DELETE_EVENTS, (page.id, page.until))
            execute(_MOVE_BASE, (page.id, page.until, page.link))
        if page.ends:
            for statement in retention.FORGET:
                execute(queries.for_sqlite(statement), (page.id,))
            execute(queries.for_sqlite(retention.ANONYMISE), (page.id, b""))
        return page.dropped


def make_stream(
    connection: sqlite3.Connection, key: StreamKey, owner: str, fence: int, now: int
) -> int:
    """Make the row of a stream that has no event yet, or complete it, and return its id."""
    (id_,) = connection.execute(
        "INSERT INTO streams (kind, name, owner, mark, last_seq, position, created_at, "
        "updated_at, fence) VALUES (?, ?, ?, '', 0, 0, ?, ?, ?) ON CONFLICT (kind, name) "
        "DO UPDATE SET owner = excluded.owner, created_at = excluded.created_at, "
        "fence = excluded.fence RETURNING id",
        (key.kind, key.name, owner, now, now, fence),
    ).fetchone()
    return int(id_)


def load(connection: sqlite3.Connection, batches: Iterator[Batch], sums: Sums, where: str) -> None:
    """See ``StoredEventLog.load``."""

    async def fetch(query: str, *values: object) -> list[Any]:
        return connection.execute(queries.for_sqlite(query), values).fetchall()

    if not connection.execute(IS_EMPTY).fetchone()[0]:
        raise loading.not_empty(where)
    for batch in batches:
        for table, columns, rows in loading.by_table(batch):
            places = ", ".join("?" * len(columns))
            connection.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608
                rows,
            )
    connection.execute(loading.DEAD)
    if _at_once(digest_of(fetch)) != sums.digest():
        raise loading.not_the_same(where)


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waits for something")


def _put_execution(connection: sqlite3.Connection, state: _State, execution: Execution) -> None:
    seq, at = state.last_seq, state.updated_at
    connection.execute(
        "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET seq_to = excluded.seq_to, agent = excluded.agent, "
        "model = excluded.model, status = excluded.status, "
        "input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, "
        "latency_ms = excluded.latency_ms, cost_nanos = excluded.cost_nanos, "
        "ended_at = excluded.ended_at",
        (
            execution.id,
            state.id,
            seq,
            seq,
            execution.agent,
            execution.model,
            execution.status,
            execution.input_tokens,
            execution.output_tokens,
            execution.latency_ms,
            execution.cost_nanos,
            at,
            None if execution.running else at,
        ),
    )


def _lastrowid(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
