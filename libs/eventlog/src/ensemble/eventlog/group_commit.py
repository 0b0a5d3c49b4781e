"""One thread that writes, and one commit for everything that waits."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from ensemble.core.errors import StorageUnavailableError
from ensemble.eventlog.sqlite_file import translate

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

Job = Callable[[sqlite3.Connection], T]
"""Work inside a transaction that somebody else begins and commits."""

_GROUP_LIMIT: Final = 512
"""Jobs in one commit at most, so that the first of them does not wait for ever."""


def _no_parts(connection: sqlite3.Connection, parts: Sequence[Any]) -> Sequence[Any]:
    raise TypeError("This writer was given nothing that runs parts.")


@dataclass(slots=True)
class _Queued:
    job: Job[Any] | None
    part: Any
    done: asyncio.Future[Any]


class GroupCommitWriter(Generic[P, R]):
    """Runs jobs one after another in its own thread; those that wait share a commit.

    Parts are jobs of one kind, of which those that follow each other are run by one call.

    A job that raises is undone and fails alone: the group is begun again, and now each job can
    be undone by itself, which nobody pays for where all goes well. When the commit itself
    fails, each job is tried again in a commit of its own, so that one too large for the disk
    does not take its neighbours along. So a job may be run more than once.

    Args:
        connection: In autocommit mode; used by the thread only.
        path: The file, for messages.
        together: Runs parts and returns what each returned; raises if one is refused. Without
            it there are jobs only.
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
        together: Callable[[sqlite3.Connection, Sequence[P]], Sequence[R]] = _no_parts,
        on_undo: Callable[[], None] = lambda: None,
        on_done: Callable[[Any], None] = lambda _: None,
        queue_limit: int = 4096,
    ) -> None:
        self._connection = connection
        self._path = path
        self._together = together
        self._on_undo = on_undo
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(queue_limit)
        self._queue: SimpleQueue[_Queued | None] = SimpleQueue()
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
        done: asyncio.Future[T] = self._loop.create_future()
        await self._put(_Queued(job, None, done))
        return await done

    async def share(self, part: P) -> R:
        """Return what ``together`` made of ``part``, once it is durable; see ``submit``."""
        done: asyncio.Future[R] = self._loop.create_future()
        await self._put(_Queued(None, part, done))
        return await done

    async def _put(self, queued: _Queued) -> None:
        await self._slots.acquire()
        if self._closing:
            self._slots.release()
            raise StorageUnavailableError(f"{self._path} is closed.")
        self._queue.put(queued)

    async def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while group := self._next():
            results = self._commit(group)
            # The loop is gone only when its program ends without closing the log.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, group, results)

    def _next(self) -> list[_Queued]:
        """Wait for jobs; none once the writer is closed and the last one was done."""
        group: list[_Queued] = []
        with contextlib.suppress(Empty):
            queued = self._queue.get()
            while queued is not None:
                group.append(queued)
                if len(group) == _GROUP_LIMIT:
                    return group
                queued = self._queue.get_nowait()
            # Nothing comes after it; it is what ends the thread when it looks again.
            self._queue.put(None)
        return group

    def _commit(self, group: list[_Queued]) -> list[Any]:
        try:
            return self._transaction(group, self._run_all)
        except Exception as exc:
            if len(group) == 1:
                return [self._translated(exc)]
            whole = _breaks_the_file(exc)
        if not whole:
            with contextlib.suppress(Exception):
                return self._transaction(group, self._run_each)
        return [self._commit([queued])[0] for queued in group]

    def _transaction(
        self, group: list[_Queued], run: Callable[[list[_Queued]], list[Any]]
    ) -> list[Any]:
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            results = run(group)
            execute("COMMIT")
            self._commits += 1
        except BaseException:
            self._on_undo()
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    execute("ROLLBACK")
            raise
        return results

    def _run_all(self, group: list[_Queued]) -> list[Any]:
        results: list[Any] = []
        for job, some in groupby(group, lambda queued: queued.job):
            if job is None:
                results += self._together(self._connection, [queued.part for queued in some])
            else:
                results += [job(self._connection) for _ in some]
        return results

    def _run_each(self, group: list[_Queued]) -> list[Any]:
        return [self._run_one(queued) for queued in group]

    def _run_one(self, queued: _Queued) -> Any:
        execute = self._connection.execute
        execute("SAVEPOINT job")
        try:
            (result,) = self._run_all([queued])
        except Exception as exc:
            if not self._connection.in_transaction or _breaks_the_file(exc):
                raise
            return self._undone(exc)
        execute("RELEASE job")
        return result

    def _undone(self, exc: Exception) -> Exception:
        self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")
        self._on_undo()
        return self._translated(exc)

    def _translated(self, exc: Exception) -> Exception:
        return translate(exc, self._path) if isinstance(exc, sqlite3.Error | OSError) else exc

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


def _breaks_the_file(exc: Exception) -> bool:
    primary = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return primary in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_BUSY,
    )
