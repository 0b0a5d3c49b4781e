"""What the writing thread of the SQLite log does inside a transaction."""

import sqlite3
from collections import OrderedDict
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as joined
from typing import Any, Final, TypeVar, cast

from ensemble.eventlog import chain, loading, queries, retention, segments
from ensemble.eventlog.event_log import Append, Execution, StreamKey
from ensemble.eventlog.records import IS_EMPTY, Batch, Sums, digest_of
from ensemble.eventlog.segments import Kind
from ensemble.eventlog.stored_event_log import DROP_PAGE, DroppedPage, OldStreams
from ensemble.eventlog.stream_state import Place, Segment, StreamState, Written

T = TypeVar("T")

_Row = tuple[object, ...]

_KNOWN_STREAMS: Final = 4096
"""Streams whose state the writer remembers, so that an append reads nothing."""

_KNOWN_TYPES: Final = 1024
"""Combinations of types whose codes the writer remembers."""

ERASE_PAGE: Final = 500
"""Segments that are erased in one transaction, so that appends need not wait for long."""

_CONTENT: Final = queries.for_sqlite(queries.CONTENT)
_CHAIN: Final = queries.for_sqlite(queries.CHAIN)
_DELETE_SEGMENTS: Final = queries.for_sqlite(retention.DELETE_SEGMENTS)
_MOVE_BASE: Final = queries.for_sqlite(retention.MOVE_BASE)


_INSERT_SEGMENT: Final = (
    "INSERT INTO segments (stream, seq, types, created_at, payload, text, trail, link) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)

_ROWS: Final = 8
"""Segments in one statement, where there are as many: a third cheaper than one by one."""

_INSERT_ROWS: Final = f"{_INSERT_SEGMENT}{', (?, ?, ?, ?, ?, ?, ?, ?)' * (_ROWS - 1)}"

# The segments were the last that was inserted, and nobody else inserts any: the rows of one
# transaction have positions without gaps, which end at this one.
_MOVE_STREAM: Final = (
    "UPDATE streams SET last_seq = ?, position = last_insert_rowid() - ?, updated_at = ?, "
    "chain = ?, secret = ?, mark = coalesce(?, mark) WHERE id = ?"
)

_MAKE_TYPE: Final = (
    "INSERT INTO types (name, version) VALUES (?, ?) ON CONFLICT (name, version) DO NOTHING"
)
_FIND_TYPE: Final = "SELECT id FROM types WHERE name = ? AND version = ?"

_PUT_SNAPSHOT: Final = "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)"

_CHANGE_EXECUTION: Final = (
    "UPDATE executions SET seq_to = ?, agent = ?, model = ?, status = ?, input_tokens = ?, "
    "output_tokens = ?, latency_ms = ?, cost_nanos = ?, ended_at = ? "
    "WHERE substr(id, -6) = substr(?10, -6) AND id = ?10"
)
_PUT_EXECUTION: Final = "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Appending:
    """A batch that is to be written; ``now`` is in nanoseconds since the epoch."""

    batch: Sequence[Append]
    now: int
    fence: int


@dataclass(slots=True)
class _State(StreamState):
    mark: str | None = None
    place: int = 0
    """Of its last segment among those that are written with it, from 1."""


@dataclass(frozen=True, slots=True)
class ErasedPage:
    """What one transaction erased: how many events, and the last of them if there may be more."""

    events: int = 0
    last: int = 0


class StreamWriter:
    """Appends to streams and erases them; used by the writing thread only."""

    def __init__(self) -> None:
        self._known: OrderedDict[StreamKey, _State] = OrderedDict()
        self._codes: dict[Kind, int] = {}
        self._types: dict[tuple[Kind, ...], bytearray] = {}

    def forget(self, stream: StreamKey) -> None:
        """Read the state of ``stream`` again when it is next needed."""
        self._known.pop(stream, None)

    def forget_all(self) -> None:
        """Read every state again: something was undone."""
        self._known.clear()
        self._codes.clear()
        self._types.clear()

    def append(self, connection: sqlite3.Connection, batches: Sequence[Appending]) -> list[Written]:
        """Write ``batches``, each as ``EventLog.append``; one that is refused refuses all.

        Whoever catches what this raises undoes the transaction and calls ``forget_all``.
        """
        touched: dict[StreamKey, _State] = {}
        rows: list[_Row] = []
        executions: list[tuple[_Row, _Row]] = []
        snapshots: dict[int, tuple[object, ...]] = {}
        written: list[Written] = []
        for each in batches:
            now, fence, key = each.now, each.fence, None
            growing: dict[StreamKey, _State] = {}
            places: list[Place] = []
            for item in each.batch:
                if item.stream is not key:
                    key = item.stream
                    state = touched.get(key) or self._state(connection, item, now, fence)
                    touched[key] = state
                    # The last to grow has the last position.
                    growing.pop(key, None)
                    growing[key] = state
                places.append(state.take(item, now, fence))
                if item.mark is not None:
                    state.mark = item.mark
                if item.execution is not None:
                    executions.append(_execution(state, item.execution))
                if item.snapshot is not None:
                    sealed = state.seal(item.snapshot)
                    snapshots[state.id] = (state.id, state.last_seq, item.snapshot, sealed)
            for state in growing.values():
                rows += [self._row(connection, state.id, made) for made in state.segments()]
                state.place = len(rows)
            written.append(Written(each.batch, places))
        cursor = connection.cursor()
        whole = len(rows) - len(rows) % _ROWS
        if whole:
            cursor.executemany(_INSERT_ROWS, _in_rows(rows[:whole]))
        cursor.executemany(_INSERT_SEGMENT, rows[whole:])
        cursor.executemany(_MOVE_STREAM, [_moved(it, len(rows)) for it in touched.values()])
        for changed, new in executions:
            if not cursor.execute(_CHANGE_EXECUTION, changed).rowcount:
                cursor.execute(_PUT_EXECUTION, new)
        if snapshots:
            cursor.executemany(_PUT_SNAPSHOT, snapshots.values())
        self._remember(touched)
        return written

    def _row(self, connection: sqlite3.Connection, stream: int, made: Segment) -> _Row:
        """Bytes as ``bytearray``: the driver looks for an adapter of every ``bytes``, which
        takes longer than the copy."""
        types = self._types.get(made.kinds) or self._coded(connection, made.kinds)
        return (
            stream, made.seq, types, made.created_at, bytearray(made.payload), made.text,
            made.trail, bytearray(made.link),
        )  # fmt: skip

    def _coded(self, connection: sqlite3.Connection, kinds: tuple[Kind, ...]) -> bytearray:
        for kind in kinds:
            if kind not in self._codes:
                connection.execute(_MAKE_TYPE, kind)
                (self._codes[kind],) = connection.execute(_FIND_TYPE, kind).fetchone()
        if len(self._types) >= _KNOWN_TYPES:
            self._types.clear()
        types = bytearray(segments.codes_of(self._codes[kind] for kind in kinds))
        self._types[kinds] = types
        return types

    def _remember(self, states: dict[StreamKey, _State]) -> None:
        for key, state in states.items():
            state.mark = None
            self._known[key] = state
            self._known.move_to_end(key)
        while len(self._known) > _KNOWN_STREAMS:
            self._known.popitem(last=False)

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

    def erase(self, connection: sqlite3.Connection, stream: StreamKey, after: int) -> ErasedPage:
        """Erase the content of up to ``ERASE_PAGE`` segments of a stream with ``seq`` >
        ``after``.

        Fewer than a page are the last: with them go secret, owner and snapshot.
        """
        self.forget(stream)
        row = connection.execute(
            "SELECT id, secret FROM streams WHERE kind = ? AND name = ?", (stream.kind, stream.name)
        ).fetchone()
        if not row:
            return ErasedPage()
        id_, secret = row
        salt = chain.Salt(secret)
        rows = connection.execute(_CONTENT, (id_, after, ERASE_PAGE)).fetchall()
        connection.executemany(
            "UPDATE segments SET digest = ?, payload = x'', text = '' WHERE position = ?",
            [(salt.digest(seq, *content), position) for position, seq, _, *content in rows],
        )
        if len(rows) < ERASE_PAGE:
            connection.execute("UPDATE streams SET owner = '', secret = x'' WHERE id = ?", (id_,))
            connection.execute("DELETE FROM snapshots WHERE stream = ?", (id_,))
        events = sum(segments.count(types) for _, _, types, *_ in rows)
        return ErasedPage(events, rows[-1][1] if len(rows) == ERASE_PAGE else 0)

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
        rows = execute(_CHAIN, (row[0], row[4], DROP_PAGE)).fetchall()
        page = retention.page(queries.kinds(execute(queries.KINDS)), row, rows)
        if page.dropped.events:
            self.forget(stream)
            execute(_DELETE_SEGMENTS, (page.id, page.until))
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


def _in_rows(rows: list[_Row]) -> Iterator[tuple[object, ...]]:
    for some in zip(*[iter(rows)] * _ROWS, strict=True):
        yield tuple(joined.from_iterable(some))


def _moved(state: _State, written: int) -> tuple[object, ...]:
    return (
        state.last_seq, written - state.place, state.updated_at, state.chain, state.secret,
        state.mark, state.id,
    )  # fmt: skip


def _execution(state: _State, it: Execution) -> tuple[_Row, _Row]:
    """Return the values that change an execution, and those that make it."""
    seq, at = state.last_seq, state.updated_at
    ended = None if it.running else at
    counts = (it.input_tokens, it.output_tokens, it.latency_ms, it.cost_nanos)
    return (
        (seq, it.agent, it.model, it.status, *counts, ended, it.id),
        (it.id, state.id, seq, seq, it.agent, it.model, it.status, *counts, at, ended),
    )
