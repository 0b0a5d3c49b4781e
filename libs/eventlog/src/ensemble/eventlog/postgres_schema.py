"""Tables and views of the log in Postgres, as the migrations that made them."""

import time
from typing import Any, Final

from ensemble.core.errors import StorageCorruptError
from ensemble.eventlog.queries import ERA_BITS
from ensemble.eventlog.views import DROP_VIEWS, views

# `position` comes from one sequence for the whole log. `chain` is the last link of a stream.
# `digest` is there once an event is erased: it stands in the chain for what `payload` and
# `text` were. Identities and sequences never give a number twice, so no fence comes back.
_V1: Final = """
CREATE TABLE streams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    mark text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL,
    position bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    chain bytea NOT NULL,
    secret bytea NOT NULL,
    UNIQUE (kind, name)
);
CREATE INDEX streams_by_change ON streams (kind, owner, position);
CREATE INDEX streams_by_mark ON streams (kind, mark, position) WHERE mark <> '';
CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    created_at bigint NOT NULL,
    payload bytea NOT NULL,
    text text NOT NULL,
    link bytea NOT NULL,
    digest bytea
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, seq);
CREATE TABLE snapshots (
    stream bigint PRIMARY KEY REFERENCES streams (id),
    seq bigint NOT NULL,
    payload bytea NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE executions (
    id text COLLATE "C" PRIMARY KEY,
    stream bigint NOT NULL REFERENCES streams (id),
    seq_from bigint NOT NULL,
    seq_to bigint NOT NULL,
    agent text NOT NULL,
    model text NOT NULL,
    status text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    latency_ms bigint NOT NULL,
    cost_nanos bigint NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint
);
CREATE INDEX executions_by_stream ON executions (stream, seq_from);
CREATE TABLE instances (
    fence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot text COLLATE "C" NOT NULL,
    incarnation integer NOT NULL,
    address text NOT NULL,
    beat bigint NOT NULL DEFAULT 0,
    load bigint NOT NULL DEFAULT 0,
    leaving boolean NOT NULL DEFAULT false,
    buried boolean NOT NULL DEFAULT false,
    UNIQUE (slot, incarnation)
);
CREATE INDEX instances_alive ON instances (fence) WHERE NOT buried
"""

# `base` is the link of event `base_seq`, the last that a retention dropped.
_V2: Final = """
ALTER TABLE streams ADD COLUMN base_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN base bytea NOT NULL DEFAULT ''
"""


# A row has all that an append wrote to a stream: see ``ensemble.eventlog.segments``. `seq` is of
# its last event, `trail` counts the events after the one that has the text. Each event that is
# there becomes a segment of its own, with the link that it has. Columns of a fixed width stand
# first: they are aligned.
_V3: Final = """
CREATE TABLE types (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    UNIQUE (name, version)
);
INSERT INTO types (name, version) SELECT type, schema_version FROM events
    GROUP BY type, schema_version ORDER BY min(position);
CREATE TABLE segments (
    position bigint GENERATED ALWAYS AS IDENTITY,
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    created_at bigint NOT NULL,
    trail integer NOT NULL,
    types bytea NOT NULL,
    link bytea NOT NULL,
    payload bytea NOT NULL,
    text text NOT NULL,
    digest bytea,
    PRIMARY KEY (stream, seq)
);
INSERT INTO segments OVERRIDING SYSTEM VALUE
    SELECT e.position, e.stream, e.seq, e.created_at, 0, CASE
        WHEN t.id < 128 THEN set_byte('\\x00'::bytea, 0, t.id)
        ELSE set_byte(set_byte('\\x0000'::bytea, 0, t.id % 128 + 128), 1, t.id / 128) END,
        e.link, e.payload, e.text, e.digest
    FROM events e JOIN types t ON t.name = e.type AND t.version = e.schema_version
    ORDER BY e.position;
SELECT setval(pg_get_serial_sequence('segments', 'position'),
    greatest((SELECT coalesce(max(position), 0) FROM streams),
        (SELECT coalesce(max(position), 0) FROM events)) + 1, false);
DROP TABLE events
"""

# What changes with every append is in no index, so that an append writes a new row of `streams`
# into the page of the old one and nothing into indexes (a HOT update; `fillfactor` leaves room for
# it). Streams are found in the order of their last change by `era`, which is the same for many
# positions, and sorted within it. `digest` is empty while the content is there: with a NULL in it,
# each row would have 8 bytes more. A row of half a page stays whole instead of being cut in two.
_V4: Final = f"""
ALTER TABLE streams SET (fillfactor = 80);
ALTER TABLE streams ADD COLUMN era integer NOT NULL
    GENERATED ALWAYS AS (CAST(position >> {ERA_BITS} AS integer)) STORED;
DROP INDEX streams_by_change;
DROP INDEX streams_by_mark;
CREATE INDEX streams_by_change ON streams (kind, owner, era);
CREATE INDEX streams_by_mark ON streams (kind, mark, era) WHERE mark <> '';
ALTER TABLE segments RENAME TO segments_3;
ALTER INDEX segments_pkey RENAME TO segments_3_pkey;
ALTER SEQUENCE segments_position_seq RENAME TO segments_3_position_seq;
CREATE TABLE segments (
    position bigint GENERATED ALWAYS AS IDENTITY,
    created_at bigint NOT NULL,
    stream integer NOT NULL,
    seq integer NOT NULL,
    trail smallint NOT NULL,
    types bytea NOT NULL,
    link bytea NOT NULL,
    digest bytea NOT NULL DEFAULT '',
    payload bytea NOT NULL,
    text text NOT NULL
) WITH (toast_tuple_target = 4080);
INSERT INTO segments OVERRIDING SYSTEM VALUE
    SELECT position, created_at, stream, seq, trail, types, link, coalesce(digest, ''), payload,
        text
    FROM segments_3 ORDER BY position;
SELECT setval('segments_position_seq', nextval('segments_3_position_seq'), false);
DROP TABLE segments_3;
ALTER TABLE segments ADD PRIMARY KEY (stream, seq);
ALTER TABLE snapshots DROP CONSTRAINT snapshots_stream_fkey;
DROP INDEX executions_by_stream;
ALTER TABLE executions DROP CONSTRAINT executions_stream_fkey,
    ALTER COLUMN stream TYPE integer,
    ALTER COLUMN seq_from TYPE integer,
    ALTER COLUMN seq_to TYPE integer;
CREATE INDEX executions_by_stream ON executions (stream)
"""  # noqa: S608 - made of constants


def _time(nanos: str) -> str:
    return f"to_timestamp({nanos} / 1e9)"


_VIEWS: Final = views(_time, "json_build_array")

MIGRATIONS: Final[tuple[str, ...]] = (
    _V1,
    f"{DROP_VIEWS}{_V2}",
    f"{DROP_VIEWS}{_V3}",
    f"{DROP_VIEWS}{_V4};{_VIEWS}",
)
"""What makes each version out of the one before; an empty database runs them all. The last one
makes the views."""

_LOCK: Final = 0x656E7365
"""Advisory lock under which one process at a time migrates."""


async def migrate(connection: Any, where: str) -> None:
    """Bring the database to the newest version, whoever else opens it at the same time.

    Args:
        connection: To the database, outside of a transaction.
        where: How messages call the database.

    Raises:
        StorageCorruptError: It is newer than this code.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version "
            "(version integer PRIMARY KEY, applied_at bigint NOT NULL)"
        )
        found = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_version")
        if found > len(MIGRATIONS):
            raise StorageCorruptError(
                f"{where} was written by a newer Ensemble (format {found}; this one knows "
                f"{len(MIGRATIONS)}). Run that version, or use another database.",
                metadata={"database": where, "format": str(found)},
            )
        for version, script in enumerate(MIGRATIONS[found:], found + 1):
            await connection.execute(script)
            await connection.execute(
                "INSERT INTO schema_version VALUES ($1, $2)", version, time.time_ns()
            )
