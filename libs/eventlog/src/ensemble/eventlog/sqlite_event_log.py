"""The log in one SQLite file: the embedded default."""

import asyncio
import sqlite3
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self, TypeVar

from ensemble.core.errors import ConflictError, StorageUnavailableError
from ensemble.eventlog.event_log import Append, Event, EventLog, Head, StreamKey
from ensemble.eventlog.followers import Followers
from ensemble.eventlog.group_commit import GroupCommitWriter
from ensemble.eventlog.sqlite_file import SqliteFile, translate

T = TypeVar("T")

_SCHEMA_VERSION: Final = 1

# `position` grows at the right end of its tree, so pages are filled whole; the index
# makes one stream readable in order and its sequence unique.
_SCHEMA: Final = """
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

_SELECT_HEAD: Final = (
    "SELECT kind, name, owner, mark, last_seq, position, created_at, updated_at FROM streams "
)

_KNOWN_STREAMS: Final = 4096
"""Streams whose last sequence the writer remembers, so that an append reads nothing."""


class SqliteEventLog(EventLog):
    """Keeps streams in one file, which one process holds at a time.

    Built by ``open`` on the loop that will use it. Commits are flushed to the disk
    (``synchronous=FULL``); appends that wait while one is under way share the next.
    """

    def __init__(self, file: SqliteFile, *, queue_limit: int) -> None:
        self._file = file
        self._followers = Followers(self.read)
        self._known: OrderedDict[StreamKey, tuple[int, int]] = OrderedDict()
        self._writer = GroupCommitWriter(
            file.writer,
            file.path,
            on_undo=self._known.clear,
            on_done=self._followers.publish,
            queue_limit=queue_limit,
        )
        self._reader = file.connect(read_only=True)
        self._reading = ThreadPoolExecutor(1, f"{file.path.stem}-reader")
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, queue_limit: int = 4096) -> Self:
        """Open ``path``, making it and its folder if they are absent.

        Args:
            path: The database file.
            queue_limit: Appends that may wait for the writer; more wait in their callers.

        Raises:
            StorageLockedError: Another process holds the file.
            StorageCorruptError: The file is damaged, foreign, or of a newer version.
            StorageUnavailableError: It cannot be opened.
        """
        file = await asyncio.to_thread(SqliteFile, path, schema=_SCHEMA, version=_SCHEMA_VERSION)
        return cls(file, queue_limit=queue_limit)

    @property
    def commits(self) -> int:
        """Commits since the log was opened."""
        return self._writer.commits

    async def append(self, batch: Sequence[Append]) -> list[int]:
        """See ``EventLog.append``."""
        if not batch:
            return []
        batch = tuple(batch)
        now = time.time_ns()
        events = await self._writer.submit(lambda connection: self._write(connection, batch, now))
        return [event.seq for event in events]

    def _write(
        self, connection: sqlite3.Connection, batch: tuple[Append, ...], now: int
    ) -> list[Event]:
        execute = connection.execute
        events = []
        for item in batch:
            stream, last = self._find(connection, item.stream)
            if item.expected_seq is not None and item.expected_seq != last:
                raise ConflictError(
                    f"The stream stands at {last}, not at {item.expected_seq}.",
                    metadata={"expected": str(item.expected_seq), "found": str(last)},
                )
            if not stream:
                stream = _lastrowid(
                    execute(
                        "INSERT INTO streams (kind, name, owner, mark, last_seq, position, "
                        "created_at, updated_at) VALUES (?, ?, ?, '', 0, 0, ?, ?)",
                        (item.stream.kind, item.stream.name, item.owner, now, now),
                    )
                )
            seq = last + 1
            position = _lastrowid(
                execute(
                    "INSERT INTO events (stream, seq, type, schema_version, created_at, payload) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (stream, seq, item.type, item.schema_version, now, item.payload),
                )
            )
            execute(
                "UPDATE streams SET last_seq = ?, position = ?, updated_at = ?, "
                "mark = coalesce(?, mark) WHERE id = ?",
                (seq, position, now, item.mark, stream),
            )
            self._known[item.stream] = (stream, seq)
            events.append(
                Event(item.stream, seq, item.type, item.payload, item.schema_version, now)
            )
        while len(self._known) > _KNOWN_STREAMS:
            self._known.popitem(last=False)
        return events

    def _find(self, connection: sqlite3.Connection, key: StreamKey) -> tuple[int, int]:
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        row = connection.execute(
            "SELECT id, last_seq FROM streams WHERE kind = ? AND name = ?", (key.kind, key.name)
        ).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    async def read(self, stream: StreamKey, after: int = 0, limit: int = 256) -> list[Event]:
        """See ``EventLog.read``."""

        def select(connection: sqlite3.Connection) -> list[Event]:
            rows = connection.execute(
                "SELECT seq, type, payload, schema_version, created_at FROM events "
                "WHERE stream = (SELECT id FROM streams WHERE kind = ? AND name = ?) "
                "AND seq > ? ORDER BY seq LIMIT ?",
                (stream.kind, stream.name, after, limit),
            )
            return [Event(stream, *row) for row in rows]

        return await self._select(select)

    async def tail(self, stream: StreamKey, after: int = 0) -> AsyncIterator[Event]:
        """See ``EventLog.tail``."""
        async for event in self._followers.follow(stream, after):
            yield event

    async def head(self, stream: StreamKey) -> Head | None:
        """See ``EventLog.head``."""

        def select(connection: sqlite3.Connection) -> Head | None:
            row = connection.execute(
                _SELECT_HEAD + "WHERE kind = ? AND name = ?", (stream.kind, stream.name)
            ).fetchone()
            return _head(row) if row else None

        return await self._select(select)

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
        where, values = ["kind = ?"], [kind]
        for column, value in (("owner", owner), ("mark", mark)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if mark:
            where.append("mark <> ''")  # lets SQLite see that the partial index serves
        bounds: list[int] = []
        if before is not None:
            where.append("position < ?")
            bounds.append(before)
        query = f"{_SELECT_HEAD}WHERE {' AND '.join(where)} ORDER BY position DESC LIMIT ?"

        def select(connection: sqlite3.Connection) -> list[Head]:
            return [_head(row) for row in connection.execute(query, (*values, *bounds, limit))]

        return await self._select(select)

    async def _select(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StorageUnavailableError(f"{self._file.path} is closed.")

        def run() -> T:
            try:
                return work(self._reader)
            except sqlite3.Error as exc:
                raise translate(exc, self._file.path) from exc

        return await asyncio.get_running_loop().run_in_executor(self._reading, run)

    async def close(self) -> None:
        """See ``EventLog.close``."""
        if self._closed:
            return
        await self._writer.close()
        self._closed = True
        self._followers.close()
        await asyncio.to_thread(self._reading.shutdown)
        self._reader.close()
        await asyncio.to_thread(self._file.close)


def _lastrowid(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _head(row: tuple[str, str, str, str, int, int, int, int]) -> Head:
    kind, name, *rest = row
    return Head(StreamKey(kind, name), *rest)  # type: ignore[arg-type]
