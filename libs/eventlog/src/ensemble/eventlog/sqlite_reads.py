"""What the SQLite log reads; each function takes a connection of its own thread."""

import sqlite3
from typing import Final

from ensemble.eventlog import queries, retention
from ensemble.eventlog.chain import START, ChainCheck
from ensemble.eventlog.event_log import Audit, Event, Head, Snapshot, StreamKey
from ensemble.eventlog.segments import Kind
from ensemble.eventlog.stored_event_log import SCAN_WINDOW, OldStreams

_READ: Final = queries.for_sqlite(queries.READ)
_HEAD: Final = queries.for_sqlite(queries.HEAD)
_SNAPSHOT: Final = queries.for_sqlite(queries.SNAPSHOT)
_STREAM: Final = queries.for_sqlite(queries.STREAM)
_CHAIN: Final = queries.for_sqlite(queries.CHAIN)
_ALL: Final = -1


def read(
    connection: sqlite3.Connection,
    kinds: dict[int, Kind],
    stream: StreamKey,
    after: int,
    limit: int,
) -> list[Event]:
    """See ``EventLog.read``; raises ``ChainBrokenError``.

    Args:
        kinds: The types that are known; more are added to it.
    """
    rows = connection.execute(_READ, (stream.kind, stream.name, after, limit)).fetchall()
    if queries.need(kinds, rows):
        kinds.update(queries.kinds(connection.execute(queries.KINDS)))
    return queries.events(stream, after, limit, kinds, rows)


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
        id_, last_seq, end, secret, base_seq, base = row
        kinds = queries.kinds(connection.execute(queries.KINDS))
        check = ChainCheck(kinds, secret, base or START, base_seq)
        for segment in connection.execute(_CHAIN, (id_, base_seq, _ALL)):
            if not check.follows(*segment):
                break
        return check.audit(last_seq, end)
    finally:
        connection.execute("ROLLBACK")


def find_old(
    connection: sqlite3.Connection, which: OldStreams, after: int
) -> tuple[int, list[str]]:
    """Return the last id of a window of streams, 0 if it is the last, and the old ones."""
    until = after + SCAN_WINDOW
    rows = connection.execute(
        queries.for_sqlite(retention.find(which)), (which.kind, which.before, after, until)
    ).fetchall()
    (last,) = connection.execute(retention.LAST_ID).fetchone()
    return (until if last > until else 0), [name for (name,) in rows]
