"""Who holds which stream, in the file of the SQLite log and in its transactions."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from ensemble.eventlog import queries
from ensemble.eventlog.event_log import StreamKey
from ensemble.eventlog.group_commit import GroupCommitWriter
from ensemble.eventlog.ownership import Instance, Ownership, Peer
from ensemble.eventlog.sqlite_writes import make_stream

_PEERS: Final = (
    "SELECT slot, incarnation, fence, address, beat, load, leaving FROM instances "
    "WHERE buried = 0 ORDER BY fence"
)
_ORPHANS: Final = (
    "SELECT s.id, s.name FROM streams s WHERE s.kind = ? AND s.mark = ? AND NOT EXISTS "
    "(SELECT 1 FROM instances i WHERE i.fence = s.fence AND i.buried = 0) "
)
_LATER: Final = "SELECT 1 FROM instances WHERE slot = ? AND fence > ? AND buried = 0"
_BURY_SLOT: Final = queries.for_sqlite(queries.BURY_SLOT)
_JOIN: Final = queries.for_sqlite(queries.JOIN)
_BURY: Final = queries.for_sqlite(queries.BURY)
_LEAVE: Final = queries.for_sqlite(queries.LEAVE)
_HOLDER: Final = queries.for_sqlite(queries.HOLDER)


class SqliteOwnership(Ownership):
    """Writes through the log's own thread, so that no append comes between.

    Args:
        writer: The log's.
        forget: Called in the writing thread with each stream whose holder changed.
        clock: Returns nanoseconds since the epoch.
    """

    def __init__(
        self,
        writer: GroupCommitWriter[Any, Any],
        forget: Callable[[StreamKey], None],
        clock: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._forget = forget
        self._clock = clock

    async def join(
        self, slot: str, address: str = "", *, after: Instance | None = None
    ) -> Instance:
        """See ``Ownership.join``."""

        def job(connection: sqlite3.Connection) -> Instance:
            if after and connection.execute(_LATER, (slot, after.fence)).fetchone():
                raise after.fenced_off()
            connection.execute(_BURY_SLOT, (slot,))
            return Instance(*connection.execute(_JOIN, (slot, address)).fetchone())

        return await self._writer.submit(job)

    async def beat(self, instance: Instance, *, load: int = 0, leaving: bool = False) -> list[Peer]:
        """See ``Ownership.beat``."""

        def job(connection: sqlite3.Connection) -> list[Peer]:
            beaten = connection.execute(
                "UPDATE instances SET beat = beat + 1, load = ?, leaving = ? "
                "WHERE fence = ? AND buried = 0",
                (load, leaving, instance.fence),
            )
            if not beaten.rowcount:
                raise instance.fenced_off()
            return [
                Peer(Instance(*who), beat, load, bool(leaving))
                for *who, beat, load, leaving in connection.execute(_PEERS)
            ]

        return await self._writer.submit(job)

    async def bury(self, peer: Peer) -> bool:
        """See ``Ownership.bury``."""
        return await self._bury(_BURY, peer.instance.fence, peer.beat)

    async def leave(self, instance: Instance) -> None:
        """See ``Ownership.leave``."""
        await self._bury(_LEAVE, instance.fence)

    async def _bury(self, query: str, *values: int) -> bool:
        def job(connection: sqlite3.Connection) -> bool:
            return bool(connection.execute(query, values).fetchall())

        return await self._writer.submit(job)

    async def claim(self, stream: StreamKey, instance: Instance) -> bool:
        """See ``Ownership.claim``."""

        def job(connection: sqlite3.Connection) -> bool:
            if not _alive(connection, instance.fence):
                return False
            row = connection.execute(
                "SELECT id, fence FROM streams WHERE kind = ? AND name = ?",
                (stream.kind, stream.name),
            ).fetchone()
            if row is None:
                make_stream(connection, stream, "", instance.fence, self._clock())
                return True
            id_, fence = row
            if fence != instance.fence:
                if _alive(connection, fence):
                    return False
                self._hand_over(connection, id_, stream, instance)
            return True

        return await self._writer.submit(job)

    async def claim_orphans(
        self, kind: str, mark: str, instance: Instance, limit: int
    ) -> list[StreamKey]:
        """See ``Ownership.claim_orphans``."""
        # Lets SQLite see that the partial index serves.
        marked = "AND s.mark <> '' " if mark else ""
        query = f"{_ORPHANS}{marked}ORDER BY s.position LIMIT ?"

        def job(connection: sqlite3.Connection) -> list[StreamKey]:
            if not _alive(connection, instance.fence):
                return []
            rows = connection.execute(query, (kind, mark, limit)).fetchall()
            streams = [StreamKey(kind, name) for _, name in rows]
            for (id_, _), stream in zip(rows, streams, strict=True):
                self._hand_over(connection, id_, stream, instance)
            return streams

        return await self._writer.submit(job)

    def _hand_over(
        self, connection: sqlite3.Connection, id_: int, stream: StreamKey, instance: Instance
    ) -> None:
        connection.execute("UPDATE streams SET fence = ? WHERE id = ?", (instance.fence, id_))
        self._forget(stream)

    async def holder(self, stream: StreamKey) -> Instance | None:
        """See ``Ownership.holder``."""

        def job(connection: sqlite3.Connection) -> Instance | None:
            row = connection.execute(_HOLDER, (stream.kind, stream.name)).fetchone()
            return Instance(*row) if row else None

        return await self._writer.submit(job)

    async def release(self, streams: Sequence[StreamKey], instance: Instance) -> None:
        """See ``Ownership.release``."""
        keys = tuple(streams)

        def job(connection: sqlite3.Connection) -> None:
            for key in keys:
                connection.execute(
                    "UPDATE streams SET fence = 0 WHERE kind = ? AND name = ? AND fence = ?",
                    (key.kind, key.name, instance.fence),
                )
                self._forget(key)

        await self._writer.submit(job)


def _alive(connection: sqlite3.Connection, fence: int) -> bool:
    row = connection.execute(
        "SELECT 1 FROM instances WHERE fence = ? AND buried = 0", (fence,)
    ).fetchone()
    return row is not None
