"""What the SQLite log reads; each function takes a connection of its own thread."""

import sqlite3
from typing import Final

from ensemble.eventlog import queries
from ensemble.eventlog.chain import START, ChainCheck
from ensemble.eventlog.event_log import Audit, Event, Head, Snapshot, StreamKey

_READ: Final = queries.for_sqlite(queries.READ)
_HEAD: Final = queries.for_sqlite(queries.HEAD)
_SNAPSHOT: Final = queries.for_sqlite(queries.SNAPSHOT)
_STREAM: Final = queries.for_sqlite(queries.STREAM)
_CHAIN: Final = queries.for_sqlite(queries.CHAIN)
_ALL: Final = -1


def read(connection: sqlite3.Connection, stream: StreamKey, after: int, limit: int) -> list[Event]:
    """See ``EventLog.read``; raises ``ChainBrokenError``."""
    rows = connection.execute(_READ, (stream.kind, stream.name, after, limit + (after > 0)))
    return queries.events(stream, after, rows)


def head(connection: sqlite3.Connection, stream: StreamKey) -> Head | None:
    """See ``EventLog.head``."""
    row = connection.execute(_HEAD, (stream.kind, stream.name)).fetchone()
    return queries.head(row) if row else None


def heads(
    connection: sqlite3.Connection,
    kind: str,
    owner: str | None,
    mark: str | None,
    before: int | None,
    limit: int,
) -> list[Head]:
    """See ``EventLog.heads``."""
    query, values = queries.heads(kind, owner, mark, before, limit)
    return [queries.head(row) for row in connection.execute(queries.for_sqlite(query), values)]


def snapshot(connection: sqlite3.Connection, stream: StreamKey) -> Snapshot | None:
    """See ``EventLog.snapshot``."""
    return queries.snapshot(connection.execute(_SNAPSHOT, (stream.kind, stream.name)).fetchall())


def audit(connection: sqlite3.Connection, stream: StreamKey) -> Audit:
    """See ``EventLog.audit``; sees the stream as it is when it begins."""
    connection.execute("BEGIN")
    try:
        row = connection.execute(_STREAM, (stream.kind, stream.name)).fetchone()
        if not row:
            return Audit(0, 0, 0, START)
        id_, last_seq, end, secret = row
        check = ChainCheck(secret)
        for event in connection.execute(_CHAIN, (id_, 0, _ALL)):
            if not check.follows(*event):
                break
        return check.audit(last_seq, end)
    finally:
        connection.execute("ROLLBACK")
