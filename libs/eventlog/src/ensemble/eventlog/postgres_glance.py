"""The queries of ``EventLog.glance``: two for any number of streams."""

from collections.abc import Sequence
from typing import Final

from ensemble.eventlog import queries
from ensemble.eventlog.event_log import Head, Snapshot, StreamKey
from ensemble.eventlog.postgres_database import Connection

_HEADS: Final = """
SELECT s.kind, s.name, s.owner, s.mark, s.last_seq, s.position, s.created_at, s.updated_at,
    s.fence, s.secret, p.seq, p.payload, p.digest
FROM unnest($1::text[], $2::text[]) AS n (kind, name)
JOIN streams s ON s.kind = n.kind AND s.name = n.name
LEFT JOIN snapshots p ON p.stream = s.id
WHERE s.last_seq > s.base_seq
"""
_OF_SNAPSHOT: Final = 4
"""The last columns are those of ``queries.SNAPSHOT``."""
_FIRST: Final = (
    queries.READ.replace("$1", "n.kind")
    .replace("$2", "n.name")
    .replace("$3", "0")
    .replace("$4", "n.most")
)
_EVENTS: Final = f"""
SELECT n.kind, n.name, e.*
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (kind, name, most)
CROSS JOIN LATERAL ({_FIRST}) e
ORDER BY n.kind, n.name, e.seq
"""  # noqa: S608 - made of constants


async def heads(
    connection: Connection, streams: Sequence[StreamKey]
) -> tuple[dict[StreamKey, Head], dict[StreamKey, Snapshot]]:
    """Return the heads of those that have one, and the newest snapshots."""
    heads, snapshots = {}, {}
    wanted = [stream.kind for stream in streams], [stream.name for stream in streams]
    for row in await connection.fetch(_HEADS, *wanted):
        head = queries.head(row[:-_OF_SNAPSHOT])
        heads[head.stream] = head
        _, seq, _, _ = sealed = row[-_OF_SNAPSHOT:]
        if seq is not None and (snapshot := queries.snapshot([sealed])) is not None:
            snapshots[head.stream] = snapshot
    return heads, snapshots


async def rows(
    connection: Connection, most: dict[StreamKey, int]
) -> dict[StreamKey, list[Sequence[object]]]:
    """Return rows of ``queries.READ`` for the first so many events of streams."""
    found: dict[StreamKey, list[Sequence[object]]] = {stream: [] for stream in most}
    values = [s.kind for s in most], [s.name for s in most], list(most.values())
    for kind, name, *row in await connection.fetch(_EVENTS, *values):
        found[StreamKey(kind, name)].append(row)
    return found
