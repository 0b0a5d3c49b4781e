"""The log in a Postgres database, which many processes may share."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Self

from ensemble.core.errors import StorageCorruptError
from ensemble.eventlog import chain
from ensemble.eventlog.event_log import (
    Append,
    Audit,
    Erased,
    Event,
    EventLog,
    Head,
    Snapshot,
    StreamKey,
)
from ensemble.eventlog.followers import Followers
from ensemble.eventlog.postgres_database import Connection, Database
from ensemble.eventlog.postgres_listener import PostgresListener
from ensemble.eventlog.postgres_ownership import PostgresOwnership
from ensemble.eventlog.postgres_schema import migrate
from ensemble.eventlog.postgres_writer import PostgresWriter

_PAGE: Final = 1000

_HEAD: Final = (
    "SELECT kind, name, owner, mark, last_seq, position, created_at, updated_at, fence FROM streams"
)
_READ: Final = """
SELECT s.secret, e.seq, e.type, e.schema_version, e.created_at, e.payload, e.text, e.digest, e.link
FROM streams s JOIN events e ON e.stream = s.id
WHERE s.kind = $1 AND s.name = $2 AND e.seq >= $3 ORDER BY e.seq LIMIT $4
"""
_SNAPSHOT: Final = """
SELECT s.secret, p.seq, p.payload, p.digest FROM snapshots p JOIN streams s ON s.id = p.stream
WHERE s.kind = $1 AND s.name = $2
"""
_CHAIN: Final = """
SELECT seq, type, schema_version, created_at, payload, text, digest, link FROM events
WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
_ERASE: Final = """
UPDATE events e SET digest = n.digest, payload = '', text = ''
FROM unnest($1::bigint[], $2::bytea[]) AS n (position, digest) WHERE e.position = n.position
"""


class PostgresEventLog(EventLog):
    """Keeps streams in plain tables of one database.

    Built by ``open`` on the loop that will use it. A commit is acknowledged once the server's
    disk has it (``synchronous_commit=on``); appends that wait while one is under way share the
    next. A lost connection is opened again by itself; what waits meanwhile fails as unavailable
    after two seconds. So does an append whose outcome is not known, because the connection
    broke while it was written: look at the head before it is appended again.

    Attributes:
        ownership: Who holds which stream of this log.
    """

    def __init__(self, database: Database, *, queue_limit: int) -> None:
        self._database = database
        self._followers = Followers(self.read)
        self._writer = PostgresWriter(
            database, on_done=self._followers.publish, queue_limit=queue_limit
        )
        self._listener = PostgresListener(database, self._followers, lambda: self._writer.pid)
        self._closed = False
        self.ownership = PostgresOwnership(database)

    @classmethod
    async def open(cls, dsn: str, *, queue_limit: int = 4096) -> Self:
        """Open the database, making its tables or bringing them to the newest version.

        Args:
            dsn: ``postgresql://user:password@host/database``.
            queue_limit: Appends that may wait for the writer; more wait in their callers.

        Raises:
            StorageCorruptError: The database was written by a newer version.
            StorageUnavailableError: It cannot be reached, or asyncpg is not installed.
        """
        database = Database(dsn)
        await database.open()
        try:
            async with database.borrowed() as connection:
                await migrate(connection, database.where)
        except BaseException:
            await database.close()
            raise
        return cls(database, queue_limit=queue_limit)

    @property
    def commits(self) -> int:
        """Commits since the log was opened."""
        return self._writer.commits

    async def append(self, batch: Sequence[Append], *, fence: int = 0) -> list[int]:
        """See ``EventLog.append``."""
        if not batch:
            return []
        events = await self._writer.submit(tuple(batch), fence)
        return [event.seq for event in events]

    async def read(self, stream: StreamKey, after: int = 0, limit: int = 256) -> list[Event]:
        """See ``EventLog.read``. Every event is checked against the chain.

        Raises:
            StorageCorruptError: An event was changed, or one is missing.
        """
        rows = await self._database.fetch(
            _READ, stream.kind, stream.name, after, limit + (after > 0)
        )
        events: list[Event] = []
        check: chain.ChainCheck | None = None
        for secret, seq, type_, version, at, payload, text, erased, link in rows:
            if seq == after:
                check = chain.ChainCheck(secret, link, seq)
                continue
            check = check or chain.ChainCheck(secret)
            if not check.follows(seq, type_, version, at, payload, text, erased, link):
                raise self._broken(check.next_seq)
            events.append(Event(stream, seq, type_, payload, version, at, text, erased is not None))
        return events

    def _broken(self, seq: int) -> StorageCorruptError:
        where = self._database.where
        return StorageCorruptError(
            f"{where} is damaged: event {seq} is missing or was changed. Restore a backup.",
            metadata={"database": where, "seq": str(seq)},
        )

    async def tail(self, stream: StreamKey, after: int = 0) -> AsyncIterator[Event]:
        """See ``EventLog.tail``."""
        async for event in self._followers.follow(stream, after):
            yield event

    async def head(self, stream: StreamKey) -> Head | None:
        """See ``EventLog.head``."""
        rows = await self._database.fetch(
            f"{_HEAD} WHERE kind = $1 AND name = $2 AND last_seq > 0", stream.kind, stream.name
        )
        return _head(rows[0]) if rows else None

    async def heads(
        self,
        kind: str,
        *,
        owner: str | None = None,
        mark: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Head]:
        """See ``EventLog.heads``."""
        where, values = ["kind = $1", "last_seq > 0"], [kind, limit]
        for condition, value in (("owner =", owner), ("mark =", mark), ("position <", before)):
            if value is not None:
                values.append(value)
                where.append(f"{condition} ${len(values)}")
        if mark:
            where.append("mark <> ''")  # lets Postgres see that the partial index serves
        query = f"{_HEAD} WHERE {' AND '.join(where)} ORDER BY position DESC LIMIT $2"
        return [_head(row) for row in await self._database.fetch(query, *values)]

    async def snapshot(self, stream: StreamKey) -> Snapshot | None:
        """See ``EventLog.snapshot``. A damaged one counts as none: the events say the same."""
        rows = await self._database.fetch(_SNAPSHOT, stream.kind, stream.name)
        for secret, seq, payload, stored in rows:
            if chain.digest(secret, seq, payload, "") == stored:
                return Snapshot(seq, payload)
        return None

    async def audit(self, stream: StreamKey) -> Audit:
        """See ``EventLog.audit``; sees the stream as it is when it begins."""
        async with (
            self._database.borrowed() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(
                "SELECT id, last_seq, chain, secret FROM streams WHERE kind = $1 AND name = $2",
                stream.kind,
                stream.name,
            )
            if row is None:
                return Audit(0, 0, 0, chain.START)
            id_, last_seq, end, secret = row
            check = chain.ChainCheck(secret)
            await self._follow_chain(connection, id_, check)
            return check.audit(last_seq, end)

    async def _follow_chain(
        self, connection: Connection, stream: int, check: chain.ChainCheck
    ) -> None:
        after = 0
        while rows := await connection.fetch(_CHAIN, stream, after, _PAGE):
            for row in rows:
                if not check.follows(*row):
                    return
            after = rows[-1]["seq"]

    async def erase(self, streams: Sequence[StreamKey]) -> Erased:
        """See ``EventLog.erase``. Each stream is erased in a transaction of its own."""
        touched = events = 0
        for stream in dict.fromkeys(streams):
            async with self._database.borrowed() as connection, connection.transaction():
                erased = await _erase(connection, stream)
            touched, events = touched + bool(erased), events + erased
        return Erased(touched, events)

    async def close(self) -> None:
        """See ``EventLog.close``."""
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        self._followers.close()
        await self._listener.close()
        await self._database.close()


async def _erase(connection: Connection, stream: StreamKey) -> int:
    row = await connection.fetchrow(
        "SELECT id, secret FROM streams WHERE kind = $1 AND name = $2 FOR UPDATE",
        stream.kind,
        stream.name,
    )
    if row is None:
        return 0
    id_, secret = row
    after = erased = 0
    while True:
        rows = await connection.fetch(
            "SELECT position, seq, payload, text FROM events "
            "WHERE stream = $1 AND seq > $2 AND digest IS NULL ORDER BY seq LIMIT $3",
            id_,
            after,
            _PAGE,
        )
        if not rows:
            break
        digests = [chain.digest(secret, seq, payload, text) for _, seq, payload, text in rows]
        await connection.execute(_ERASE, [position for position, *_ in rows], digests)
        after, erased = rows[-1]["seq"], erased + len(rows)
    await connection.execute("UPDATE streams SET owner = '', secret = '' WHERE id = $1", id_)
    await connection.execute("DELETE FROM snapshots WHERE stream = $1", id_)
    return erased


def _head(row: Any) -> Head:
    kind, name, *rest = row
    return Head(StreamKey(kind, name), *rest)
