"""What the SQLite log reads; each function takes a connection of its own thread."""

import sqlite3
from typing import Final

from ensemble.eventlog.chain import START, ChainCheck, digest
from ensemble.eventlog.event_log import Audit, Event, Head, Snapshot, StreamKey

_SELECT_HEAD: Final = (
    "SELECT kind, name, owner, mark, last_seq, position, created_at, updated_at, fence "
    "FROM streams "
)

_SELECT_EVENTS: Final = (
    "SELECT s.secret, e.seq, e.type, e.schema_version, e.created_at, e.payload, e.text, "
    "e.digest, e.link FROM streams s JOIN events e ON e.stream = s.id "
    "WHERE s.kind = ? AND s.name = ? AND e.seq >= ? ORDER BY e.seq LIMIT ?"
)
_ALL: Final = -1


class ChainBrokenError(Exception):
    """The event at ``seq`` is not the one that was written."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"event {seq} is missing or was changed")
        self.seq = seq


def read(connection: sqlite3.Connection, stream: StreamKey, after: int, limit: int) -> list[Event]:
    """See ``EventLog.read``. Every event is checked against the chain: a flipped bit that
    SQLite does not notice must not be taken for what was said.

    Raises:
        ChainBrokenError: An event was changed, or one is missing.
    """
    rows = connection.execute(
        _SELECT_EVENTS, (stream.kind, stream.name, after, limit + (after > 0))
    ).fetchall()
    events: list[Event] = []
    check: ChainCheck | None = None
    for secret, seq, type_, version, at, payload, text, erased, link in rows:
        if seq == after:
            check = ChainCheck(secret, link, seq)
            continue
        check = check or ChainCheck(secret)
        if not check.follows(seq, type_, version, at, payload, text, erased, link):
            raise ChainBrokenError(check.next_seq)
        events.append(Event(stream, seq, type_, payload, version, at, text, erased is not None))
    return events


def head(connection: sqlite3.Connection, stream: StreamKey) -> Head | None:
    """See ``EventLog.head``."""
    row = connection.execute(
        _SELECT_HEAD + "WHERE kind = ? AND name = ? AND last_seq > 0", (stream.kind, stream.name)
    ).fetchone()
    return _head(row) if row else None


def heads(
    connection: sqlite3.Connection,
    kind: str,
    owner: str | None,
    mark: str | None,
    before: int | None,
    limit: int,
) -> list[Head]:
    """See ``EventLog.heads``."""
    where: list[str] = ["kind = ?", "position > 0"]
    values: list[str | int] = [kind]
    for column, value in (("owner", owner), ("mark", mark)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if mark:
        where.append("mark <> ''")  # lets SQLite see that the partial index serves
    if before is not None:
        where.append("position < ?")
        values.append(before)
    query = f"{_SELECT_HEAD}WHERE {' AND '.join(where)} ORDER BY position DESC LIMIT ?"
    return [_head(row) for row in connection.execute(query, (*values, limit))]


def _head(row: tuple[str, str, str, str, int, int, int, int, int]) -> Head:
    kind, name, *rest = row
    return Head(StreamKey(kind, name), *rest)  # type: ignore[arg-type]


def snapshot(connection: sqlite3.Connection, stream: StreamKey) -> Snapshot | None:
    """See ``EventLog.snapshot``. A damaged one counts as none: the events say the same."""
    row = connection.execute(
        "SELECT s.secret, p.seq, p.payload, p.digest FROM snapshots p JOIN streams s "
        "ON s.id = p.stream WHERE s.kind = ? AND s.name = ?",
        (stream.kind, stream.name),
    ).fetchone()
    if not row:
        return None
    secret, seq, payload, stored = row
    return Snapshot(seq, payload) if digest(secret, seq, payload, "") == stored else None


def audit(connection: sqlite3.Connection, stream: StreamKey) -> Audit:
    """See ``EventLog.audit``; sees the stream as it is when it begins."""
    connection.execute("BEGIN")
    try:
        row = connection.execute(
            "SELECT last_seq, chain, secret FROM streams WHERE kind = ? AND name = ?",
            (stream.kind, stream.name),
        ).fetchone()
        if not row:
            return Audit(0, 0, 0, START)
        last_seq, end, secret = row
        check = ChainCheck(secret)
        for _, *event in connection.execute(_SELECT_EVENTS, (stream.kind, stream.name, 0, _ALL)):
            if not check.follows(*event):
                break
        return check.audit(last_seq, end)
    finally:
        connection.execute("ROLLBACK")
