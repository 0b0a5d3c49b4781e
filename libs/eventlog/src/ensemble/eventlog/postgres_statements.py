"""The statements by which the Postgres log makes and grows streams."""

import functools
from typing import Final

MAKE: Final = """
INSERT INTO streams (kind, name, owner, mark, last_seq, position, created_at, updated_at, fence,
    chain, secret)
SELECT kind, name, owner, '', 0, 0, at, at, fence, $1, ''
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS n (kind, name, owner, at, fence)
ON CONFLICT (kind, name) DO UPDATE SET owner = excluded.owner, created_at = excluded.created_at,
    fence = excluded.fence
    WHERE streams.last_seq = 0 AND streams.fence IN (0, excluded.fence)
RETURNING id, kind, name
"""

LOAD: Final = """
SELECT s.kind, s.name, s.id, s.last_seq, s.updated_at, s.fence, s.chain, s.secret
FROM streams s JOIN unnest($1::text[], $2::text[]) AS n (kind, name)
    ON s.kind = n.kind AND s.name = n.name
ORDER BY s.id
"""

KNOWN_TYPES: Final = "SELECT name, version, id FROM types"

MAKE_TYPES: Final = """
INSERT INTO types (name, version) SELECT * FROM unnest($1::text[], $2::integer[])
ON CONFLICT (name, version) DO NOTHING
"""

_SEGMENTS: Final = """
    INSERT INTO segments (stream, seq, types, created_at, payload, text, trail, link)
    SELECT n.* FROM verdict, unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[],
        $5::bytea[], $6::text[], $7::integer[], $8::bytea[])
        AS n (stream, seq, types, created_at, payload, text, trail, link)
    WHERE verdict.ok
"""

# Writes everything if each stream still stands as expected, else nothing: without a
# transaction around it, it costs one round trip. Streams are locked in the order of their ids.
_MANY: Final = f"""
WITH expected AS (
    SELECT * FROM unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[])
        AS e (id, last_seq, fence, secret)
), locked AS MATERIALIZED (
    SELECT s.id FROM streams s JOIN expected e ON e.id = s.id
    WHERE s.last_seq = e.last_seq AND s.fence = e.fence AND s.secret = e.secret
    ORDER BY s.id FOR UPDATE OF s
), verdict AS MATERIALIZED (
    SELECT count(*) = cardinality($9::bigint[]) AS ok FROM locked
), written AS ({_SEGMENTS}
    RETURNING stream, position
), moved AS (
    UPDATE streams s SET last_seq = n.last_seq, updated_at = n.updated_at, chain = n.chain,
        secret = n.secret, position = w.position, mark = coalesce(n.mark, s.mark)
    FROM unnest($9::bigint[], $13::bigint[], $14::bigint[], $15::bytea[], $16::bytea[],
            $17::text[]) AS n (id, last_seq, updated_at, chain, secret, mark)
        JOIN (SELECT stream, max(position) AS position FROM written GROUP BY stream) w
        ON w.stream = n.id
    WHERE s.id = n.id
)"""  # noqa: S608 - made of constants

# The same for one segment of one stream, at half the price: looking, locking and changing are
# one step, and what the segment and its stream have in common is said once.
_ONE: Final = """
WITH verdict AS (
    UPDATE streams SET last_seq = $5, updated_at = $6, chain = $7, secret = $8,
        mark = coalesce($9, mark), position = nextval('segments_position_seq')
    WHERE id = $1 AND last_seq = $2 AND fence = $3 AND secret = $4
    RETURNING true AS ok, position
), written AS (
    INSERT INTO segments
        (position, stream, seq, created_at, link, types, payload, text, trail)
    OVERRIDING SYSTEM VALUE
    SELECT position, $1, $5, $6, $10::bytea, $11::bytea, $12::bytea, $13::text, $14::integer
    FROM verdict
)"""

_VERDICT: Final = "SELECT ok FROM verdict"
_FREE_AFTER_MANY: Final = 18
_FREE_AFTER_ONE: Final = 15

_SNAPSHOT: Final = {"stream": "bigint", "seq": "bigint", "payload": "bytea", "digest": "bytea"}
_EXECUTION: Final = {
    "id": "text",
    "stream": "bigint",
    "seq_from": "bigint",
    "seq_to": "bigint",
    "agent": "text",
    "model": "text",
    "status": "text",
    "input_tokens": "bigint",
    "output_tokens": "bigint",
    "latency_ms": "bigint",
    "cost_nanos": "bigint",
    "started_at": "bigint",
    "ended_at": "bigint",
}
_FROM_THE_BEGINNING: Final = ("stream", "seq_from", "started_at")
"""What an execution keeps when a later event of it replaces its row."""


@functools.cache
def write(*, one: bool, snapshots: bool, executions: bool) -> str:
    """Return the statement of a commit, which has only the parts that it needs: each costs,
    also where there is nothing for it to write. It returns a row in which ``ok`` is true if
    anything was written.

    Its values are arrays: of the segments, stream, last ``seq``, types, time, payload, text, trail
    and link; of the streams, id and, as expected, last ``seq``, fence and secret, and as they
    become, last ``seq``, time, link, secret and mark; then the columns of the snapshots and of
    the executions. With ``one`` segment of one stream there are no arrays of them, but first the
    values of the stream, and then link, types, payload, text and trail.
    """
    parts = [_ONE if one else _MANY]
    free = _FREE_AFTER_ONE if one else _FREE_AFTER_MANY
    if snapshots:
        parts.append(f"pictured AS ({_upsert('snapshots', 'stream', _SNAPSHOT, free)})")
        free += len(_SNAPSHOT)
    if executions:
        kept = _FROM_THE_BEGINNING
        parts.append(f"worked AS ({_upsert('executions', 'id', _EXECUTION, free, kept)})")
    return f"{', '.join(parts)} {_VERDICT}"


def _upsert(
    table: str, key: str, columns: dict[str, str], first: int, kept: tuple[str, ...] = ()
) -> str:
    names = ", ".join(columns)
    arrays = ", ".join(f"${first + n}::{kind}[]" for n, kind in enumerate(columns.values()))
    changed = ", ".join(
        f"{name} = excluded.{name}" for name in columns if name != key and name not in kept
    )
    return f"""
    INSERT INTO {table} ({names}) SELECT n.* FROM verdict, unnest({arrays}) AS n ({names})
    WHERE verdict.ok ON CONFLICT ({key}) DO UPDATE SET {changed}
"""  # noqa: S608 - made of constants
