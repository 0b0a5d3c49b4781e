"""The world model in one SQLite file, held by one process."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from ensemble.core.errors import StorageUnavailableError
from ensemble.eventlog.group_commit import GroupCommitWriter
from ensemble.eventlog.sqlite_file import SqliteFile, open_store, translate
from ensemble.world_model.adapters import (
    sqlite_erasure,
    sqlite_reads,
    sqlite_retention,
    sqlite_writes,
)
from ensemble.world_model.adapters.sqlite_schema import MIGRATIONS
from ensemble.world_model.entities import Changes, Erased, Observation, Page, Recorded, Wanted

T = TypeVar("T")

_READS_IN_FLIGHT: Final = 64
"""Reads that may wait for the reading thread; more callers wait in the loop."""

_ENTITIES_AT_ONCE: Final = 100
"""Entities that one transaction erases or forgets, so that others get to write in between."""

_CHANGES_AT_ONCE: Final = 1000


class SqliteWorldStore:
    """A ``WorldStore``: one writing thread with group commit, one reading thread.

    Use ``open`` to make one. ``clock`` returns microseconds since the Unix epoch.
    """

    def __init__(self, file: SqliteFile, clock: Callable[[], int]) -> None:
        self._file = file
        self._clock = clock
        self._reading = file.connect(read_only=True)
        self._head = sqlite_reads.head(self._reading)
        self._moved = asyncio.Event()
        self._reads = asyncio.Semaphore(_READS_IN_FLIGHT)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="world-reader")
        self._writer: GroupCommitWriter[None, None] = GroupCommitWriter(file.writer, file.path)
        self._observing: set[asyncio.Task[Recorded]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path, clock: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> "SqliteWorldStore":
        """Open or make the file.

        Raises:
            StorageLockedError: Another process holds it.
            StorageCorruptError: It is damaged, foreign, or newer than this code.
            StorageUnavailableError: It cannot be opened.
        """
        return await open_store(path, MIGRATIONS, lambda file: cls(file, clock))

    async def observe(
        self, request_id: str, observations: Sequence[Observation], principal: str = ""
    ) -> Recorded:
        """See ``WorldStore.observe``."""
        # A caller that gives up leaves the observation to be recorded, and watchers to hear of it.
        task = asyncio.create_task(self._observe(request_id, observations, principal))
        self._observing.add(task)
        task.add_done_callback(self._observed)
        return await asyncio.shield(task)

    async def query(self, wanted: Wanted) -> Page:
        """See ``WorldStore.query``."""
        return await self._read(lambda connection: sqlite_reads.query(connection, wanted))

    async def changes(self, after: int, kind: str, limit: int) -> Changes:
        """See ``WorldStore.changes``."""
        return await self._read(
            lambda connection: sqlite_reads.changes(connection, after, kind, limit)
        )

    async def head(self) -> int:
        """See ``WorldStore.head``."""
        return await self._read(sqlite_reads.head)

    async def wait(self, after: int, timeout: float) -> bool:
        """See ``WorldStore.wait``."""
        try:
            async with asyncio.timeout(timeout):
                while self._head <= after:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def erase(
        self, principal: str, kinds: Sequence[str], attributes_json: Mapping[str, str]
    ) -> Erased:
        """See ``WorldStore.erase``. What was cut off half way is completed by erasing again.

        Raises:
            StorageUnavailableError: A reader held on to what was there before; erase again.
        """
        found = await self._read(
            lambda connection: sqlite_erasure.entities_of_person(
                connection, principal, kinds, attributes_json
            )
        )
        for first in range(0, len(found), _ENTITIES_AT_ONCE):
            some = found[first : first + _ENTITIES_AT_ONCE]
            last = await self._writer.submit(
                lambda connection, some=some: sqlite_erasure.erase(  # type: ignore[misc]
                    connection, principal, some, self._clock()
                )
            )
            self._advance(last)
        if not attributes_json:
            await self._forget_who(principal)
        await self._file.empty_wal()
        return Erased(len(found), self._head)

    async def forget_removed(self, before: int) -> int:
        """See ``WorldStore.forget_removed``."""
        forgotten = 0
        while some := await self._writer.submit(
            lambda connection: sqlite_retention.forget_removed(
                connection, before, _ENTITIES_AT_ONCE
            )
        ):
            forgotten += some
        return forgotten

    async def close(self) -> None:
        """See ``WorldStore.close``."""
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        if self._observing:
            await asyncio.wait(self._observing, timeout=1)
        await asyncio.to_thread(self._reader.shutdown)
        self._reading.close()
        self._file.close()

    async def _observe(
        self, request_id: str, observations: Sequence[Observation], principal: str
    ) -> Recorded:
        recorded = await self._writer.submit(
            lambda connection: sqlite_writes.observe(
                connection, request_id, observations, self._clock(), principal
            )
        )
        self._advance(recorded.sequence)
        return recorded

    def _advance(self, sequence: int) -> None:
        if sequence > self._head:
            self._head = sequence
            self._moved.set()
            self._moved = asyncio.Event()

    async def _forget_who(self, principal: str) -> None:
        while await self._writer.submit(
            lambda connection: sqlite_erasure.forget_who(connection, principal, _CHANGES_AT_ONCE)
        ):
            pass

    def _observed(self, task: asyncio.Task[Recorded]) -> None:
        self._observing.discard(task)
        if not task.cancelled():
            task.exception()

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        async with self._reads:
            if self._closed:
                raise StorageUnavailableError(f"{self._file.path} is closed.")
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    self._reader, job, self._reading
                )
            except sqlite3.Error as exc:
                raise translate(exc, self._file.path) from exc
