"""The log in one SQLite file: the embedded default."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from ensemble.core.errors import StorageCorruptError, StorageUnavailableError
from ensemble.eventlog import queries, sqlite_reads, sqlite_writes
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
from ensemble.eventlog.group_commit import GroupCommitWriter
from ensemble.eventlog.records import TOTALS, Batch, Sums, export
from ensemble.eventlog.segments import Kind
from ensemble.eventlog.sqlite_file import SqliteFile, open_store, translate
from ensemble.eventlog.sqlite_ownership import SqliteOwnership
from ensemble.eventlog.sqlite_reader import SharedReader
from ensemble.eventlog.sqlite_schema import MIGRATIONS
from ensemble.eventlog.sqlite_writes import Appending, StreamWriter
from ensemble.eventlog.stored_event_log import DroppedPage, OldStreams, StoredEventLog, WholeLog
from ensemble.eventlog.stream_state import Written
from ensemble.eventlog.upcasters import Upcasters

T = TypeVar("T")

_PAGE_BYTES: Final = 1024
"""A long row fills whole pages of its own and leaves its rest among others, so that small pages
waste little; and a commit writes few bytes."""

_WAL_BYTES: Final = 4 * 1024 * 1024


class SqliteEventLog(StoredEventLog):
    """Keeps streams in one file, which one process holds at a time.

    Built by ``open`` on the loop that will use it. Commits are flushed to the disk
    (``synchronous=FULL``); appends that wait while one is under way share the next.

    Attributes:
        ownership: Who holds which stream of this log.
    """

    def __init__(
        self,
        file: SqliteFile,
        *,
        queue_limit: int,
        clock: Callable[[], int] = time.time_ns,
        upcasters: Upcasters | None = None,
    ) -> None:
        super().__init__(upcasters)
        self._file = file
        self._clock = clock
        self._streams = StreamWriter()
        self._writer = GroupCommitWriter(
            file.writer,
            file.path,
            together=self._streams.append,
            on_undo=self._streams.forget_all,
            on_done=self._publish,
            queue_limit=queue_limit,
        )
        self._reader = SharedReader(file.connect(read_only=True), f"{file.path.stem}-reader")
        self._kinds: dict[int, Kind] = {}
        self._closed = False
        self.ownership = SqliteOwnership(self._writer, self._streams.forget, clock)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        queue_limit: int = 4096,
        clock: Callable[[], int] = time.time_ns,
        upcasters: Upcasters | None = None,
    ) -> Self:
        """Open ``path``, making it and its folder if they are absent; older files are migrated.

        Args:
            path: The database file.
            queue_limit: Appends that may wait for the writer; more wait in their callers.
            clock: Returns nanoseconds since the epoch.
            upcasters: For events of earlier versions, which are read as if of the newest.

        Raises:
            StorageLockedError: Another process holds the file.
            StorageCorruptError: The file is damaged, foreign, or of a newer version.
            StorageUnavailableError: It cannot be opened.
        """
        return await open_store(
            path,
            MIGRATIONS,
            lambda file: cls(file, queue_limit=queue_limit, clock=clock, upcasters=upcasters),
            page_bytes=_PAGE_BYTES,
            wal_bytes=_WAL_BYTES,
        )

    @property
    def commits(self) -> int:
        """Commits since the log was opened."""
        return self._writer.commits

    async def append(self, batch: Sequence[Append], *, fence: int = 0, at: int = 0) -> list[int]:
        """See ``EventLog.append``."""
        if not batch:
            return []
        written = await self._writer.share(Appending(tuple(batch), at or self._clock(), fence))
        return written.seqs

    def _publish(self, result: object) -> None:
        if isinstance(result, Written):
            self._followers.publish(result)

    async def _read(self, stream: StreamKey, after: int, limit: int) -> list[Event]:
        return await self._select(lambda c: self._read_in(c, stream, after, limit))

    def _read_in(
        self, connection: sqlite3.Connection, stream: StreamKey, after: int, limit: int
    ) -> list[Event]:
        return sqlite_reads.read(connection, self._kinds, stream, after, limit)

    async def head(self, stream: StreamKey) -> Head | None:
        """See ``EventLog.head``."""
        return await self._select(lambda c: sqlite_reads.head(c, stream))

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
        return await self._select(lambda c: sqlite_reads.heads(c, kind, owner, mark, before, limit))

    async def snapshot(self, stream: StreamKey) -> Snapshot | None:
        """See ``EventLog.snapshot``."""
        return await self._select(lambda c: sqlite_reads.snapshot(c, stream))

    async def glance(self, streams: Sequence[StreamKey], limit: int = 256) -> list[Glance | None]:
        """See ``EventLog.glance``: one trip to the thread that reads."""

        def look(connection: sqlite3.Connection, stream: StreamKey) -> Glance | None:
            head = sqlite_reads.head(connection, stream)
            if head is None:
                return None
            snapshot = sqlite_reads.snapshot(connection, stream)
            most = 1 if snapshot else limit
            return Glance(head, snapshot, self._read_in(connection, stream, 0, most))

        def look_at_all(connection: sqlite3.Connection) -> list[Glance | None]:
            return [look(connection, stream) for stream in streams]

        return self._upcast(await self._select(look_at_all))

    async def audit(self, stream: StreamKey) -> Audit:
        """See ``EventLog.audit``. Long streams do not hold up other readers."""

        def run() -> Audit:
            connection = self._file.connect(read_only=True)
            # Damaged text must be found to differ, not stop the search.
            connection.text_factory = lambda raw: raw.decode(errors="replace")
            try:
                return self._translated(lambda: sqlite_reads.audit(connection, stream))
            finally:
                connection.close()

        self._refuse_if_closed()
        return await asyncio.to_thread(run)

    async def erase(self, streams: Sequence[StreamKey]) -> Erased:
        """See ``EventLog.erase``. Long streams are erased in several transactions: what was
        cut off half way is completed by erasing again.

        Raises:
            StorageUnavailableError: A reader held on to what was there before; erase again.
        """
        counts = [await self._erase(stream) for stream in streams]
        if counts:
            await self._file.empty_wal()
            await self._writer.submit(lambda _: self._file.extend_wal())
        return Erased(sum(1 for count in counts if count), sum(counts))

    async def _erase(self, stream: StreamKey) -> int:
        total = after = 0
        while True:
            page = await self._writer.submit(
                lambda connection, after=after: self._streams.erase(  # type: ignore[misc]
                    connection, stream, after
                )
            )
            total += page.events
            after = page.last
            if not after:
                return total

    async def _find_old(self, which: OldStreams, after: int) -> tuple[int, list[str]]:
        return await self._select(lambda c: sqlite_reads.find_old(c, which, after))

    async def _drop_page(self, stream: StreamKey, which: OldStreams) -> DroppedPage:
        return await self._writer.submit(
            lambda connection: self._streams.drop_page(connection, stream, which)
        )

    @contextlib.asynccontextmanager
    async def snapshot_of_all(self) -> AsyncIterator[WholeLog]:
        """See ``StoredEventLog.snapshot_of_all``: reads in a thread of its own.

        The -wal file grows until it ends, and an erasure waits for it.
        """
        self._refuse_if_closed()
        loop, executor = asyncio.get_running_loop(), ThreadPoolExecutor(1, "backup")
        connection = self._file.connect(read_only=True)

        async def fetch(query: str, *values: object) -> list[Any]:
            statement = queries.for_sqlite(query)
            return await loop.run_in_executor(
                executor,
                self._translated,
                lambda: connection.execute(statement, values).fetchall(),
            )

        try:
            await fetch("BEGIN")
            ((streams, events),) = await fetch(TOTALS)
            async with contextlib.aclosing(export(fetch)) as records:
                yield WholeLog(streams, events, records)
        finally:
            await asyncio.to_thread(executor.shutdown)
            connection.close()

    async def load(self, batches: Iterator[Batch], sums: Sums) -> None:
        """See ``StoredEventLog.load``."""
        where = str(self._file.path)
        await self._writer.submit(lambda c: sqlite_writes.load(c, batches, sums, where))

    async def _select(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._refuse_if_closed()
        return await self._reader.run(lambda c: self._translated(lambda: work(c)))

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as exc:
            raise translate(exc, self._file.path) from exc
        except queries.ChainBrokenError as exc:
            raise StorageCorruptError(
                f"{self._file.path} is damaged ({exc}). Put a backup in its place.",
                metadata={"file": str(self._file.path), "seq": str(exc.seq)},
            ) from exc

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StorageUnavailableError(f"{self._file.path} is closed.")

    async def close(self) -> None:
        """See ``EventLog.close``."""
        if self._closed:
            return
        await self._writer.close()
        self._closed = True
        self._followers.close()
        await self._reader.close()
        await asyncio.to_thread(self._file.close)
