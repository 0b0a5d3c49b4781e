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

_EVENTS: Final = """
    INSERT INTO events (stream, seq, type, schema_version, created_at, payload, text, link)
    SELECT n.* FROM verdict, unnest($1::bigint[], $2::bigint[], $3::text[], $4::integer[],
        $5::bigint[], $6::bytea[], $7::text[], $8::bytea[])
        AS n (stream, seq, type, schema_version, created_at, payload, text, link)
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
), written AS ({_EVENTS}
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

# The same for one stream, at half the price: looking, locking and changing are one step.
_ONE: Final = f"""
WITH verdict AS (
    UPDATE streams SET last_seq = $13, updated_at = $14, chain = $15, secret = $16,
        mark = coalesce($17, mark), position = nextval('events_position_seq')
    WHERE id = $9 AND last_seq = $10 AND fence = $11 AND secret = $12
    RETURNING true AS ok
), written AS ({_EVENTS})"""  # noqa: S608 - made of constants

_VERDICT: Final = "SELECT ok FROM verdict"
_FIRST_FREE: Final = 18

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
def write(*, one_stream: bool, snapshots: bool, executions: bool) -> str:
    """Return the statement of a commit, which has only the parts that it needs: each costs,
    also where there is nothing for it to write. It returns a row in which ``ok`` is true if
    anything was written.

    Its values are arrays: of the events, stream, ``seq``, type, version, time, payload, text and
    link; of the streams, id and, as expected, last ``seq``, fence and secret, and as they become,
    last ``seq``, time, link, secret and mark (no arrays where there is one stream); then the
    columns of the snapshots and of the executions.
    """
    parts = [_ONE if one_stream else _MANY]
    free = _FIRST_FREE
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
