"""Tables and views of the log in SQLite, as the migrations that made them."""

import sqlite3
from typing import Final

from ensemble.eventlog import chain
from ensemble.eventlog.segments import codes_of
from ensemble.eventlog.sqlite_file import Migration, run_script
from ensemble.eventlog.views import DROP_VIEWS, views

# `position` grows at the right end of its tree, so pages are filled whole; the index
# makes one stream readable in order and its sequence unique.
_V1: Final = """
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    mark TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    position INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;
CREATE INDEX streams_by_change ON streams (kind, owner, position);
CREATE INDEX streams_by_mark ON streams (kind, mark, position) WHERE mark <> '';
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_stream ON events (stream, seq)
"""

# `chain` is the last link of a stream. `digest` is there once an event is erased: it stands in
# the chain for what `payload` and `text` were. AUTOINCREMENT never gives a fence twice.
_V2: Final = """
ALTER TABLE streams ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN chain BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE streams ADD COLUMN secret BLOB NOT NULL DEFAULT x'';
ALTER TABLE events ADD COLUMN text TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN link BLOB NOT NULL DEFAULT x'';
ALTER TABLE events ADD COLUMN digest BLOB;
CREATE TABLE snapshots (
    stream INTEGER PRIMARY KEY REFERENCES streams (id),
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    seq_from INTEGER NOT NULL,
    seq_to INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    cost_nanos INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX executions_by_stream ON executions (stream, seq_from);
CREATE TABLE instances (
    fence INTEGER PRIMARY KEY AUTOINCREMENT,
    slot TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    address TEXT NOT NULL,
    beat INTEGER NOT NULL DEFAULT 0,
    load INTEGER NOT NULL DEFAULT 0,
    leaving INTEGER NOT NULL DEFAULT 0,
    buried INTEGER NOT NULL DEFAULT 0,
    UNIQUE (slot, incarnation)
) STRICT;
CREATE INDEX instances_alive ON instances (fence) WHERE buried = 0
"""


_PAGE: Final = 1000


def _to_v2(connection: sqlite3.Connection) -> None:
    run_script(connection, _V2)
    for (stream,) in connection.execute("SELECT id FROM streams").fetchall():
        _chain_up(connection, stream)


def _chain_up(connection: sqlite3.Connection, stream: int) -> None:
    """Give the events of a stream the links that they were written without."""
    secret, last, seq = chain.new_secret(), chain.START, 0
    while True:
        rows = connection.execute(
            "SELECT position, seq, type, schema_version, created_at, payload FROM events "
            "WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
            (stream, seq, _PAGE),
        ).fetchall()
        links = []
        for position, seq, kind, version, created_at, payload in rows:
            content = chain.digest(secret, seq, payload, "")
            last = chain.link(last, seq, ((kind, version),), created_at, 0, content)
            links.append((last, position))
        connection.executemany("UPDATE events SET link = ? WHERE position = ?", links)
        if len(rows) < _PAGE:
            break
    connection.execute(
        "UPDATE streams SET chain = ?, secret = ? WHERE id = ?", (last, secret, stream)
    )


# `base` is the link of event `base_seq`, the last that a retention dropped.
_V3: Final = """
ALTER TABLE streams ADD COLUMN base_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN base BLOB NOT NULL DEFAULT x''
"""


# A row has all that an append wrote to a stream: see ``ensemble.eventlog.segments``. `seq` is of
# its last event, `trail` counts the events after the one that has the text. Each event that is
# there becomes a segment of its own, with the link that it has. An execution lies where its stream
# is; the end of its id finds it as well as all of it would.
_V4: Final = """
CREATE TABLE types (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (name, version)
) STRICT;
INSERT INTO types (name, version) SELECT type, schema_version FROM events
    GROUP BY type, schema_version ORDER BY min(position);
CREATE TABLE segments (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    types BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    payload BLOB NOT NULL,
    text TEXT NOT NULL,
    trail INTEGER NOT NULL,
    link BLOB NOT NULL,
    digest BLOB
) STRICT;
INSERT INTO segments
    SELECT e.position, e.stream, e.seq, code(t.id), e.created_at, e.payload, e.text, 0, e.link,
        e.digest
    FROM events e JOIN types t ON t.name = e.type AND t.version = e.schema_version
    ORDER BY e.position;
DROP TABLE events;
CREATE UNIQUE INDEX segments_by_stream ON segments (stream, seq);
ALTER TABLE executions RENAME TO executions_3;
CREATE TABLE executions (
    id TEXT NOT NULL,
    stream INTEGER NOT NULL,
    seq_from INTEGER NOT NULL,
    seq_to INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    cost_nanos INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (stream, seq_from)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO executions
    SELECT id, stream, seq_from, seq_to, agent, model, status, input_tokens, output_tokens,
        latency_ms, cost_nanos, started_at, ended_at
    FROM executions_3;
DROP TABLE executions_3;
CREATE INDEX executions_by_id ON executions (substr(id, -6))
"""


def _to_v4(connection: sqlite3.Connection) -> None:
    connection.create_function("code", 1, lambda id_: codes_of([id_]), deterministic=True)
    run_script(connection, f"{DROP_VIEWS}{_V4};{_VIEWS}")


def _time(nanos: str) -> str:
    """ISO 8601 in UTC."""
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {nanos} / 1e9, 'unixepoch')"


_VIEWS: Final = views(_time, "json_array")

MIGRATIONS: Final[tuple[Migration, ...]] = (_V1, _to_v2, f"{DROP_VIEWS}{_V3}", _to_v4)
"""What makes each version out of the one before; a new file runs them all. The last one makes
the views."""
