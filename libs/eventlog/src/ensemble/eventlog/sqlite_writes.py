"""What the writing thread of the SQLite log does inside a transaction."""

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.core.errors import ConflictError, FencedOffError
from ensemble.eventlog import chain
from ensemble.eventlog.event_log import Append, Event, Execution, StreamKey

_KNOWN_STREAMS: Final = 4096
"""Streams whose state the writer remembers, so that an append reads nothing."""

ERASE_PAGE: Final = 1000
"""Events that are erased in one transaction, so that appends need not wait for long."""

_NANOS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """The events that one append made."""

    events: list[Event]


@dataclass(slots=True)
class _State:
    """A stream as the file has it, or will have it at the end of the batch."""

    id: int
    last_seq: int
    updated_at: int
    fence: int
    chain: bytes
    secret: bytes
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
            if state.fence not in (0, fence):
                raise FencedOffError(
                    f"The stream is held under fence {state.fence}, not {fence}.",
                    metadata={"fence": str(fence), "holder": str(state.fence)},
                )
            last = state.last_seq
            if item.expected_seq is not None and item.expected_seq != last:
                raise ConflictError(
                    f"The stream stands at {last}, not at {item.expected_seq}.",
                    metadata={"expected": str(item.expected_seq), "found": str(last)},
                )
            seq, at = last + 1, max(now, state.updated_at)
            content = chain.digest(state.secret, seq, item.payload, item.text)
            state.chain = chain.link(state.chain, seq, item.type, item.schema_version, at, content)
            state.position = _lastrowid(
                execute(
                    "INSERT INTO events (stream, seq, type, schema_version, created_at, payload, "
                    "text, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        state.id,
                        seq,
                        item.type,
                        item.schema_version,
                        at,
                        item.payload,
                        item.text,
                        state.chain,
                    ),
                )
            )
            state.last_seq, state.updated_at = seq, at
            if item.mark is not None:
                state.mark = item.mark
            if item.execution is not None:
                _put_execution(connection, state.id, seq, at, item.execution)
            if item.snapshot is not None:
                proof = chain.digest(state.secret, seq, item.snapshot, "")
                execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)",
                    (state.id, seq, item.snapshot, proof),
                )
            events.append(
                Event(
                    item.stream,
                    seq,
                    item.type,
                    item.payload,
                    item.schema_version,
                    at,
                    item.text,
                )
            )
        for key, state in touched.items():
            self._save(connection, key, state)
        while len(self._known) > _KNOWN_STREAMS:
            self._known.popitem(last=False)
        return Written(events)

    def _save(self, connection: sqlite3.Connection, key: StreamKey, state: _State) -> None:
        connection.execute(
            "UPDATE streams SET last_seq = ?, position = ?, updated_at = ?, chain = ?, "
            "mark = coalesce(?, mark) WHERE id = ?",
            (
                state.last_seq,
                state.position,
                state.updated_at,
                state.chain,
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
        if not state.secret:
            state.secret = chain.new_secret()
            connection.execute(
                "UPDATE streams SET secret = ? WHERE id = ?", (state.secret, state.id)
            )
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
        rows = connection.execute(
            "SELECT position, seq, payload, text FROM events "
            "WHERE stream = ? AND seq > ? AND digest IS NULL ORDER BY seq LIMIT ?",
            (id_, after, ERASE_PAGE),
        ).fetchall()
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


def _put_execution(
    connection: sqlite3.Connection, stream: int, seq: int, at: int, execution: Execution
) -> None:
    connection.execute(
        "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET seq_to = excluded.seq_to, agent = excluded.agent, "
        "model = excluded.model, status = excluded.status, "
        "input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, "
        "latency_ms = excluded.latency_ms, cost_nanos = excluded.cost_nanos, "
        "ended_at = excluded.ended_at",
        (
            execution.id,
            stream,
            seq,
            seq,
            execution.agent,
            execution.model,
            execution.status,
            execution.input_tokens,
            execution.output_tokens,
            execution.latency_ms,
            int(execution.cost_usd * _NANOS),
            at,
            None if execution.status == "running" else at,
        ),
    )


def _lastrowid(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
