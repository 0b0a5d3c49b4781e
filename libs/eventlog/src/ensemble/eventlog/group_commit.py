"""One thread that writes, and one commit for everything that waits."""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from ensemble.core.errors import StorageUnavailableError
from ensemble.eventlog.sqlite_file import translate

T = TypeVar("T")

Job = Callable[[sqlite3.Connection], T]
"""Work inside a transaction that somebody else begins and commits."""

_GROUP_LIMIT: Final = 512
"""Jobs in one commit at most, so that the first of them does not wait for ever."""


@dataclass(slots=True)
class _Queued:
    job: Job[Any]
    done: asyncio.Future[Any]


class GroupCommitWriter:
    """Runs jobs one after another in its own thread; those that wait share a commit.

    A job that raises is undone and fails alone. When the commit itself fails, each job is
    tried again in a commit of its own, so that one too large for the disk does not take
    its neighbours along.

    Args:
        connection: In autocommit mode; used by the thread only.
        path: The file, for messages.
        on_undo: Called in the thread after anything was undone, to drop cached state.
        on_done: Called on the loop with what each job returned, in order of commit, also
            when its caller no longer waits.
        queue_limit: Jobs that may wait; ``submit`` waits while there are as many.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        on_undo: Callable[[], None] = lambda: None,
        on_done: Callable[[Any], None] = lambda _: None,
        queue_limit: int = 4096,
    ) -> None:
        self._connection = connection
        self._path = path
        self._on_undo = on_undo
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(queue_limit)
        self._wake = threading.Condition()
        self._queue: deque[_Queued] = deque()
        self._closing = False
        self._commits = 0
        self._thread = threading.Thread(target=self._run, name=f"{path.stem}-writer", daemon=True)
        self._thread.start()

    @property
    def commits(self) -> int:
        """Commits so far."""
        return self._commits

    async def submit(self, job: Job[T]) -> T:
        """Return what ``job`` returned, once it is durable.

        A caller that is cancelled leaves the job in the queue: it may still be done.

        Raises:
            StorageUnavailableError: The writer is closed.
            EnsembleError: What the job raised, or why it could not be committed.
        """
        await self._slots.acquire()
        done: asyncio.Future[T] = self._loop.create_future()
        with self._wake:
            if self._closing:
                self._slots.release()
                raise StorageUnavailableError(f"{self._path} is closed.")
            self._queue.append(_Queued(job, done))
            self._wake.notify()
        return await done

    async def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                if not self._queue:
                    return
                count = min(len(self._queue), _GROUP_LIMIT)
                group = [self._queue.popleft() for _ in range(count)]
            results = self._commit(group)
            # The loop is gone only when its program ends without closing the log.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, group, results)

    def _commit(self, group: list[_Queued]) -> list[Any]:
        try:
            return self._transaction(group)
        except (sqlite3.Error, OSError) as exc:
            if len(group) == 1:
                return [translate(exc, self._path)]
        return [self._commit([queued])[0] for queued in group]

    def _transaction(self, group: list[_Queued]) -> list[Any]:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            results = [self._run_one(queued.job) for queued in group]
            execute("COMMIT")
            self._commits += 1
        except BaseException:
            self._on_undo()
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    execute("ROLLBACK")
            raise
        return results

    def _run_one(self, job: Job[Any]) -> Any:
        execute = self._connection.execute
        execute("SAVEPOINT job")
        try:
            result = job(self._connection)
        except sqlite3.Error as exc:
            if not self._connection.in_transaction or _breaks_the_file(exc):
                raise
            return self._undone(exc)
        except Exception as exc:
            return self._undone(exc)
        execute("RELEASE job")
        return result

    def _undone(self, exc: Exception) -> Exception:
        self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")
        self._on_undo()
        if isinstance(exc, sqlite3.Error):
            return translate(exc, self._path)
        return exc

    def _deliver(self, group: list[_Queued], results: list[Any]) -> None:
        for queued, result in zip(group, results, strict=True):
            self._slots.release()
            if not isinstance(result, Exception):
                self._on_done(result)
            if queued.done.done():
                continue
            if isinstance(result, Exception):
                queued.done.set_exception(result)
            else:
                queued.done.set_result(result)


def _breaks_the_file(exc: sqlite3.Error) -> bool:
    primary = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return primary in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_BUSY,
    )
