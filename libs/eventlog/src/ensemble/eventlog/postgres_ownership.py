"""Ownership in Postgres: among all processes that use the database."""

from collections.abc import Sequence
from typing import Any, Final

from ensemble.eventlog import chain, queries
from ensemble.eventlog.event_log import StreamKey
from ensemble.eventlog.ownership import Instance, Ownership, Peer
from ensemble.eventlog.postgres_database import Database

# That a holder is dead must be seen, not guessed from its absence: one that has just joined is
# not in the snapshot of a statement that began before. Burying is for ever, so a sight of it
# stays true.
_FREE: Final = (
    "(s.fence = 0 OR EXISTS (SELECT FROM instances i WHERE i.fence = s.fence AND i.buried))"
)
_ALIVE: Final = "EXISTS (SELECT FROM instances me WHERE me.fence = $1 AND NOT me.buried)"

_MARKED: Final = "s.mark <> ''"
"""Lets Postgres see that the partial index serves."""

_LATER: Final = "SELECT FROM instances WHERE slot = $1 AND fence > $2 AND NOT buried"
_BEAT: Final = """
WITH mine AS (
    UPDATE instances SET beat = beat + 1, load = $2, leaving = $3
    WHERE fence = $1 AND NOT buried RETURNING *
), all_of_them AS (
    SELECT * FROM mine
    UNION ALL SELECT * FROM instances WHERE NOT buried AND fence <> $1
)
SELECT slot, incarnation, fence, address, beat, load, leaving FROM all_of_them ORDER BY fence
"""
# A stream that is there gives its own id, so that no new one is used up in vain.
_CLAIM: Final = f"""
INSERT INTO streams AS s (id, kind, name, owner, mark, last_seq, position, created_at, updated_at,
    fence, chain, secret)
OVERRIDING SYSTEM VALUE
SELECT coalesce((SELECT id FROM streams WHERE kind = $2 AND name = $3),
    nextval('streams_id_seq')), $2, $3, '', '', 0, 0, 0, 0, $1, $4, '' WHERE {_ALIVE}
ON CONFLICT (kind, name) DO UPDATE SET fence = $1 WHERE s.fence = $1 OR {_FREE}
RETURNING id
"""  # noqa: S608 - made of constants
_CLAIM_ORPHANS: Final = f"""
WITH orphans AS MATERIALIZED (
    SELECT s.id FROM streams s
    WHERE s.kind = $2 AND s.mark = $3 AND {_MARKED} AND {_FREE} AND {_ALIVE}
    ORDER BY s.era, s.position LIMIT $4 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE streams s SET fence = $1 FROM orphans o WHERE s.id = o.id
    RETURNING s.kind, s.name, s.position
)
SELECT kind, name FROM taken ORDER BY position
"""  # noqa: S608 - made of constants
_CLAIMED: Final = f"""
SELECT name FROM streams WHERE fence = $1 AND kind = $2 AND mark = $3 AND name = ANY ($4::text[])
    AND {_ALIVE}
ORDER BY position
"""  # noqa: S608 - made of constants
_RELEASE: Final = """
WITH held AS MATERIALIZED (
    SELECT s.id FROM streams s JOIN unnest($2::text[], $3::text[]) AS n (kind, name)
        ON s.kind = n.kind AND s.name = n.name
    WHERE s.fence = $1 ORDER BY s.id FOR UPDATE OF s
)
UPDATE streams s SET fence = 0 FROM held h WHERE s.id = h.id AND s.fence = $1
"""


class PostgresOwnership(Ownership):
    """Keeps instances in the database of a ``PostgresEventLog``, which closes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unanswered: dict[tuple[str, str, int], list[str]] = {}

    async def join(
        self, slot: str, address: str = "", *, after: Instance | None = None
    ) -> Instance:
        """See ``Ownership.join``."""
        async with self._database.transaction() as connection:
            # Two who join the same slot do so one after the other.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", slot)
            if after and await connection.fetch(_LATER, slot, after.fence):
                raise after.fenced_off()
            await connection.execute(queries.BURY_SLOT, slot)
            return _instance(await connection.fetchrow(queries.JOIN, slot, address))

    async def beat(self, instance: Instance, *, load: int = 0, leaving: bool = False) -> list[Peer]:
        """See ``Ownership.beat``."""
        async with self._database.borrowed() as connection:
            rows = await connection.fetch(_BEAT, instance.fence, load, leaving)
        peers = [
            Peer(_instance(row), beat=row["beat"], load=row["load"], leaving=row["leaving"])
            for row in rows
        ]
        if not any(peer.instance.fence == instance.fence for peer in peers):
            raise instance.fenced_off()
        return peers

    async def bury(self, peer: Peer) -> bool:
        """See ``Ownership.bury``."""
        return await self._changed(queries.BURY, peer.instance.fence, peer.beat)

    async def leave(self, instance: Instance) -> None:
        """See ``Ownership.leave``."""
        await self._changed(queries.LEAVE, instance.fence)

    async def claim(self, stream: StreamKey, instance: Instance) -> bool:
        """See ``Ownership.claim``."""
        return await self._changed(_CLAIM, instance.fence, stream.kind, stream.name, chain.START)

    async def claim_orphans(
        self, kind: str, mark: str, instance: Instance, limit: int
    ) -> list[StreamKey]:
        """See ``Ownership.claim_orphans``.

        If the answer is lost, the next call finds out what was claimed and returns that as well.
        """
        fence = instance.fence
        query = _CLAIM_ORPHANS if mark else _CLAIM_ORPHANS.replace(_MARKED, "true")
        claimed = await self._found_out(kind, mark, fence)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(query, fence, kind, mark, max(limit - len(claimed), 0))
            claimed += [row["name"] for row in rows]
            # From here on, it is known what would have been claimed if no answer came.
            self._unanswered[kind, mark, fence] = claimed
        self._unanswered.pop((kind, mark, fence), None)
        return [StreamKey(kind, name) for name in claimed]

    async def _found_out(self, kind: str, mark: str, fence: int) -> list[str]:
        names = self._unanswered.get((kind, mark, fence))
        if not names:
            return []
        rows = await self._database.fetch(_CLAIMED, fence, kind, mark, names)
        return [row["name"] for row in rows]

    async def holder(self, stream: StreamKey) -> Instance | None:
        """See ``Ownership.holder``."""
        rows = await self._database.fetch(queries.HOLDER, stream.kind, stream.name)
        return _instance(rows[0]) if rows else None

    async def release(self, streams: Sequence[StreamKey], instance: Instance) -> None:
        """See ``Ownership.release``."""
        async with self._database.borrowed() as connection:
            await connection.execute(
                _RELEASE,
                instance.fence,
                [stream.kind for stream in streams],
                [stream.name for stream in streams],
            )

    async def _changed(self, query: str, *values: object) -> bool:
        async with self._database.borrowed() as connection:
            return bool(await connection.fetch(query, *values))


def _instance(row: Any) -> Instance:
    return Instance(row["slot"], row["incarnation"], row["fence"], row["address"])
