"""The log in a Postgres database, which many processes may share."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, Self

from ensemble.core.errors import StorageCorruptError
from ensemble.eventlog import chain, loading, postgres_glance, queries, retention, segments
from ensemble.eventlog.event_log import (
    Append,
    Audit,
    Erased,
    Event,
    Glance,
    Head,
    Snapshot,
    StreamKey,
)
from ensemble.eventlog.postgres_database import Connection, Database
from ensemble.eventlog.postgres_listener import PostgresListener
from ensemble.eventlog.postgres_ownership import PostgresOwnership
from ensemble.eventlog.postgres_schema import migrate
from ensemble.eventlog.postgres_writer import PostgresWriter
from ensemble.eventlog.records import IS_EMPTY, TOTALS, Batch, Row, Sums, digest_of, export
from ensemble.eventlog.segments import Kind
from ensemble.eventlog.stored_event_log import (
    DROP_PAGE,
    SCAN_WINDOW,
    DroppedPage,
    OldStreams,
    StoredEventLog,
    WholeLog,
)
from ensemble.eventlog.stream_state import Written
from ensemble.eventlog.upcasters import Upcasters

_PAGE: Final = 500

_COUNTED: Final = {
    "types": "id",
    "streams": "id",
    "segments": "position",
    "instances": "fence",
}
"""Columns that count by themselves."""

_ERASE: Final = """
UPDATE segments e SET digest = n.digest, payload = '', text = ''
FROM unnest($2::bigint[], $3::bytea[]) AS n (seq, digest) WHERE e.stream = $1 AND e.seq = n.seq
"""


class PostgresEventLog(StoredEventLog):
    """Keeps streams in plain tables of one database.

    Built by ``open`` on the loop that will use it. A commit is acknowledged once the server's
    disk has it (``synchronous_commit=on``); appends that wait while one is under way share the
    next. A lost connection is opened again by itself; what waits meanwhile fails as unavailable
    after two seconds. So does an append whose outcome is not known, because the connection
    broke while it was written: look at the head before it is appended again.

    Attributes:
        ownership: Who holds which stream of this log.
    """

    def __init__(
        self,
        database: Database,
        *,
        queue_limit: int,
        clock: Callable[[], int] = time.time_ns,
        upcasters: Upcasters | None = None,
    ) -> None:
        super().__init__(upcasters)
        self._database = database
        self._writer = PostgresWriter(
            database, on_done=self._publish, queue_limit=queue_limit, clock=clock
        )
        self._listener = PostgresListener(database, self._followers)
        self._kinds: dict[int, Kind] = {}
        self._closed = False
        self.ownership = PostgresOwnership(database)

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        queue_limit: int = 4096,
        clock: Callable[[], int] = time.time_ns,
        upcasters: Upcasters | None = None,
    ) -> Self:
        """Open the database, making its tables or bringing them to the newest version.

        Args:
            dsn: ``postgresql://user:password@host/database``.
            queue_limit: Appends that may wait for the writer; more wait in their callers.
            clock: Returns nanoseconds since the epoch.
            upcasters: For events of earlier versions, which are read as if of the newest.

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
        return cls(database, queue_limit=queue_limit, clock=clock, upcasters=upcasters)

    @property
    def commits(self) -> int:
        """Commits since the log was opened."""
        return self._writer.commits

    async def append(self, batch: Sequence[Append], *, fence: int = 0, at: int = 0) -> list[int]:
        """See ``EventLog.append``."""
        if not batch:
            return []
        return (await self._writer.submit(tuple(batch), fence, at)).seqs

    def _publish(self, written: Sequence[Written]) -> None:
        for each in written:
            self._followers.publish(each)
            self._listener.tell(item.stream for item in each.batch)

    async def _read(self, stream: StreamKey, after: int, limit: int) -> list[Event]:
        rows = await self._database.fetch(queries.READ, stream.kind, stream.name, after, limit)
        await self._know(rows)
        return self._events(stream, after, limit, rows)

    async def _know(self, rows: Sequence[Sequence[Any]]) -> None:
        """Know the types of the events in rows of ``queries.READ``."""
        if queries.need(self._kinds, rows):
            self._kinds |= queries.kinds(await self._database.fetch(queries.KINDS))

    def _events(
        self, stream: StreamKey, after: int, limit: int, rows: Sequence[Sequence[Any]]
    ) -> list[Event]:
        try:
            return queries.events(stream, after, limit, self._kinds, rows)
        except queries.ChainBrokenError as exc:
            raise self._broken(exc) from exc

    def _broken(self, exc: queries.ChainBrokenError) -> StorageCorruptError:
        where = self._database.where
        return StorageCorruptError(
            f"{where} is damaged ({exc}). Restore a backup.",
            metadata={"database": where, "seq": str(exc.seq)},
        )

    async def head(self, stream: StreamKey) -> Head | None:
        """See ``EventLog.head``."""
        rows = await self._database.fetch(queries.HEAD, stream.kind, stream.name)
        return queries.head(rows[0]) if rows else None

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
        query, values = queries.heads(kind, owner, mark, before, limit, eras=True)
        return [queries.head(row) for row in await self._database.fetch(query, *values)]

    async def snapshot(self, stream: StreamKey) -> Snapshot | None:
        """See ``EventLog.snapshot``."""
        return queries.snapshot(
            await self._database.fetch(queries.SNAPSHOT, stream.kind, stream.name)
        )

    async def glance(self, streams: Sequence[StreamKey], limit: int = 256) -> list[Glance | None]:
        """See ``EventLog.glance``: two queries."""
        async with self._database.borrowed() as connection:
            heads, snapshots = await postgres_glance.heads(connection, streams)
            most = {stream: 1 if stream in snapshots else limit for stream in heads}
            rows = await postgres_glance.rows(connection, most)
        for some in rows.values():
            await self._know(some)
        found = {
            stream: Glance(
                head,
                snapshots.get(stream),
                self._events(stream, 0, most[stream], rows[stream]),
            )
            for stream, head in heads.items()
        }
        return self._upcast([found.get(stream) for stream in streams])

    async def audit(self, stream: StreamKey) -> Audit:
        """See ``EventLog.audit``; sees the stream as it is when it begins."""
        async with self._database.transaction(
            isolation="repeatable_read", readonly=True
        ) as connection:
            row = await connection.fetchrow(queries.STREAM, stream.kind, stream.name)
            if row is None:
                return Audit(0, 0, 0, chain.START)
            id_, last_seq, end, secret, base_seq, base = row
            kinds = queries.kinds(await connection.fetch(queries.KINDS))
            check = chain.ChainCheck(kinds, secret, base or chain.START, base_seq)
            await self._follow_chain(connection, id_, base_seq, check)
            return check.audit(last_seq, end)

    async def _follow_chain(
        self, connection: Connection, stream: int, after: int, check: chain.ChainCheck
    ) -> None:
        while rows := await connection.fetch(queries.CHAIN, stream, after, _PAGE):
            for row in rows:
                if not check.follows(*row):
                    return
            after = rows[-1]["seq"]

    async def erase(self, streams: Sequence[StreamKey]) -> Erased:
        """See ``EventLog.erase``. Each stream is erased in a transaction of its own."""
        touched = events = 0
        for stream in dict.fromkeys(streams):
            async with self._database.transaction() as connection:
                erased = await _erase(connection, stream)
            touched, events = touched + bool(erased), events + erased
        return Erased(touched, events)

    async def _find_old(self, which: OldStreams, after: int) -> tuple[int, list[str]]:
        until = after + SCAN_WINDOW
        rows = await self._database.fetch(
            retention.find(which), which.kind, which.before, after, until
        )
        ((last,),) = await self._database.fetch(retention.LAST_ID)
        return (until if last > until else 0), [row["name"] for row in rows]

    async def _drop_page(self, stream: StreamKey, which: OldStreams) -> DroppedPage:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                f"{retention.look(which)} FOR UPDATE", which.kind, which.before, stream.name
            )
            if row is None:
                return DroppedPage()
            rows = await connection.fetch(queries.CHAIN, row["id"], row["base_seq"], DROP_PAGE)
            kinds = queries.kinds(await connection.fetch(queries.KINDS))
            page = retention.page(kinds, row, rows)
            if page.dropped.events:
                await connection.execute(retention.DELETE_SEGMENTS, page.id, page.until)
                await connection.execute(retention.MOVE_BASE, page.id, page.until, page.link)
            if page.ends:
                for statement in retention.FORGET:
                    await connection.execute(statement, page.id)
                await connection.execute(retention.ANONYMISE, page.id, b"")
            return page.dropped

    @contextlib.asynccontextmanager
    async def snapshot_of_all(self) -> AsyncIterator[WholeLog]:
        """See ``StoredEventLog.snapshot_of_all``: one transaction on a connection of its own."""
        async with (
            self._database.alone() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            ((streams, events),) = await connection.fetch(TOTALS)
            async with contextlib.aclosing(export(connection.fetch)) as records:
                yield WholeLog(streams, events, records)

    async def load(self, batches: Iterator[Batch], sums: Sums) -> None:
        """See ``StoredEventLog.load``."""
        async with self._database.alone() as connection, connection.transaction():
            await connection.execute("LOCK TABLE streams, instances IN EXCLUSIVE MODE")
            if not await connection.fetchval(IS_EMPTY):
                raise loading.not_empty(self._database.where)
            while batch := await asyncio.to_thread(next, batches, None):
                for table, columns, rows in loading.by_table(batch):
                    if table == "segments":
                        rows = _with_empty_digests(columns, rows)
                    await connection.copy_records_to_table(table, columns=columns, records=rows)
            await connection.execute(loading.DEAD)
            for table, column in _COUNTED.items():
                await connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "  # noqa: S608
                    f"coalesce(max({column}), 0) + 1, false) FROM {table}"
                )
            if await digest_of(connection.fetch) != sums.digest():
                raise loading.not_the_same(self._database.where)

    async def close(self) -> None:
        """See ``EventLog.close``."""
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        self._followers.close()
        await self._listener.close()
        await self._database.close()


def _with_empty_digests(columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Return rows of segments with empty digests instead of none."""
    at = columns.index("digest")
    return [(*row[:at], row[at] or b"", *row[at + 1 :]) for row in rows]


async def _erase(connection: Connection, stream: StreamKey) -> int:
    row = await connection.fetchrow(f"{queries.STREAM} FOR UPDATE", stream.kind, stream.name)
    if row is None:
        return 0
    id_, _, _, secret, *_ = row
    salt, after, erased = chain.Salt(secret), 0, 0
    while True:
        rows = await connection.fetch(queries.CONTENT, id_, after, _PAGE)
        if not rows:
            break
        digests = [salt.digest(seq, *content) for _, seq, _, *content in rows]
        await connection.execute(_ERASE, id_, [row["seq"] for row in rows], digests)
        after = rows[-1]["seq"]
        erased += sum(segments.count(row["types"]) for row in rows)
    await connection.execute("UPDATE streams SET owner = '', secret = '' WHERE id = $1", id_)
    await connection.execute("DELETE FROM snapshots WHERE stream = $1", id_)
    return erased
