"""One task that writes, and one commit for everything that waits."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.core.errors import EnsembleError, StorageUnavailableError
from ensemble.eventlog import postgres_statements as statements
from ensemble.eventlog.event_log import Append, StreamKey
from ensemble.eventlog.postgres_commit import Commit, load_states
from ensemble.eventlog.postgres_database import Connection, Database, lost
from ensemble.eventlog.segments import Kind
from ensemble.eventlog.stream_state import StreamState, Written

_GROUP_LIMIT: Final = 512
"""Batches in one commit at most, so that the first of them does not wait for ever."""

_KNOWN_STREAMS: Final = 4096
"""Streams whose state is remembered, so that an append needs one round trip."""

_ATTEMPTS: Final = 8
"""How often a commit is tried while others change the same streams."""

_PATIENCE_S: Final = 2.0
"""How long appends wait for a server that cannot be reached."""

_BACK_OFF_S: Final = (0.02, 0.5)
"""First and longest pause between two attempts to reach the server."""

_TRY_AGAIN: Final = ("40001", "40P01")
"""Serialization failure and deadlock: nothing was written, and the next attempt may work."""

Result = Written | EnsembleError


@dataclass(slots=True)
class _Queued:
    batch: Sequence[Append]
    fence: int
    now: int
    since: float
    done: "asyncio.Future[Written]"


class PostgresWriter:
    """Writes batches in the order in which they were given; those that wait share a commit.

    A batch that is refused fails alone. If what happened to a commit is not known, because
    the connection broke before the answer came, its batches fail as unavailable, though they
    may have been written; so whoever appends again must look at the head first.

    Args:
        database: Where to write.
        on_done: Called with the events of a commit, also when their callers no longer wait.
        queue_limit: Batches that may wait; ``submit`` waits while there are as many.
        clock: Returns nanoseconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_done: Callable[[Sequence[Written]], None],
        queue_limit: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_done = on_done
        self._slots = asyncio.Semaphore(queue_limit)
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()
        self._known: OrderedDict[StreamKey, StreamState] = OrderedDict()
        self._codes: dict[Kind, int] = {}
        self._connection: Connection = None
        self._closing = False
        self._commits = 0
        self._task = asyncio.create_task(self._run(), name="postgres-log-writer")

    @property
    def commits(self) -> int:
        """Commits so far."""
        return self._commits

    async def submit(self, batch: Sequence[Append], fence: int, at: int) -> Written:
        """Return the events of ``batch`` once they are durable; see ``EventLog.append``.

        A caller that is cancelled leaves the batch in the queue: it may still be written.
        """
        await self._slots.acquire()
        if self._closing:
            self._slots.release()
            raise self._database.closed()
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        now = at or self._clock()
        self._queue.put_nowait(_Queued(batch, fence, now, time.monotonic(), done))
        return await done

    async def close(self) -> None:
        """Finish what is queued, then end."""
        self._closing = True
        await self._queue.join()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._drop()

    async def _run(self) -> None:
        while True:
            group = [await self._queue.get()]
            while len(group) < _GROUP_LIMIT and not self._queue.empty():
                group.append(self._queue.get_nowait())
            try:
                results = await self._commit(group)
            except asyncio.CancelledError:
                raise
            except Exception as exc:
                # Whatever it is, the task must live and the callers must hear of it.
                self._drop()
                results = [self._database.translate(exc) for _ in group]
            self._deliver(group, results)

    def _deliver(self, group: list[_Queued], results: Sequence[Result]) -> None:
        self._on_done([result for result in results if isinstance(result, Written)])
        for queued, result in zip(group, results, strict=True):
            self._slots.release()
            self._queue.task_done()
            if queued.done.done():
                continue
            if isinstance(result, Written):
                queued.done.set_result(result)
            else:
                queued.done.set_exception(result)

    async def _commit(self, group: list[_Queued]) -> list[Result]:
        lock = False
        for _ in range(_ATTEMPTS):
            try:
                await self._connect(group[0].since + _PATIENCE_S)
            except EnsembleError as exc:
                return [exc for _ in group]
            try:
                await self._learn(group)
                results = await (self._locked(group) if lock else self._at_once(group))
            except _NotSentError:
                continue
            except Exception as exc:
                if getattr(exc, "sqlstate", None) not in _TRY_AGAIN:
                    return await self._failed(group, exc)
                results = None
            if results is not None:
                return results
            # Somebody else changed a stream: from now on, look and write under its lock.
            lock = True
        return [self._contended() for _ in group]

    async def _learn(self, group: list[_Queued]) -> None:
        """Know the code of every type that is written."""
        types = {
            (item.type, item.schema_version) for queued in group for item in queued.batch
        }.difference(self._codes)
        if not types:
            return
        with _before_sending(self):
            names, versions = zip(*sorted(types), strict=True)
            await self._connection.execute(statements.MAKE_TYPES, names, versions)
            rows = await self._connection.fetch(statements.KNOWN_TYPES)
        self._codes = {(name, version): code for name, version, code in rows}

    async def _failed(self, group: list[_Queued], exc: Exception) -> list[Result]:
        self._known.clear()
        error = self._database.translate(exc)
        if lost(exc) or isinstance(exc, EnsembleError):
            self._drop()
            return [error for _ in group]
        if len(group) == 1:
            return [error]
        # One of them cannot be written, such as one too large for the disk; which one shows
        # when each has a commit of its own.
        return [(await self._commit([queued]))[0] for queued in group]

    async def _at_once(self, group: list[_Queued]) -> list[Result] | None:
        """Write by one statement, as the streams were last seen; None if they have changed."""
        wanted = {item.stream for queued in group for item in queued.batch}
        missing = [stream for stream in wanted if stream not in self._known]
        if missing:
            with _before_sending(self):
                found = await load_states(self._connection, missing, lock=False)
            self._remember(found)
        known = {key: self._known[key] for key in wanted if key in self._known}
        commit, results = _plan(group, known)
        if commit.makes_streams or any(not isinstance(result, Written) for result in results):
            return None
        if not await commit.write(self._connection, self._codes):
            for stream in wanted:
                self._known.pop(stream, None)
            return None
        self._commits += 1
        self._remember(commit.states())
        return results

    async def _locked(self, group: list[_Queued]) -> list[Result] | None:
        """Lock the streams, look at them and write; None if one was made in the meantime."""
        connection = self._connection
        wanted = sorted(
            {item.stream for queued in group for item in queued.batch},
            key=lambda key: (key.kind, key.name),
        )
        transaction = connection.transaction()
        with _before_sending(self):
            await transaction.start()
        try:
            with _before_sending(self):
                known = await load_states(connection, wanted, lock=True)
                commit, results = _plan(group, known)
                done = not commit.streams or (
                    await commit.make_streams(connection)
                    and await commit.write(connection, self._codes)
                )
        except BaseException as exc:
            # A server that stands still would not answer to this either.
            if not lost(exc):
                with contextlib.suppress(Exception):
                    await transaction.rollback()
            raise
        if not done:
            await transaction.rollback()
            return None
        await transaction.commit()
        self._commits += 1
        self._remember(known)
        self._remember(commit.states())
        return results

    def _remember(self, states: dict[StreamKey, StreamState]) -> None:
        for key, state in states.items():
            self._known[key] = state
            self._known.move_to_end(key)
        # What this commit needs was just put at the end.
        while len(self._known) > _KNOWN_STREAMS + len(states):
            self._known.popitem(last=False)

    async def _connect(self, end: float) -> None:
        """Have a connection; try for one at least once, and until ``end`` (monotonic)."""
        if self._connection is not None and not self._connection.is_closed():
            return
        self._drop()
        pause = _BACK_OFF_S[0]
        while True:
            try:
                self._connection = await self._database.connect()
            except Exception as exc:
                if not lost(exc) or time.monotonic() + pause > end or self._closing:
                    raise self._database.translate(exc) from exc
                await asyncio.sleep(pause)
                pause = min(2 * pause, _BACK_OFF_S[1])
            else:
                return

    def _drop(self) -> None:
        self._known.clear()
        self._codes.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def lose(self) -> None:
        """Give the connection up: it broke before anything was written."""
        self._drop()

    def _contended(self) -> StorageUnavailableError:
        return StorageUnavailableError(
            f"{self._database.where} is too busy: others keep changing the same streams."
        )


class _NotSentError(Exception):
    """The connection broke when it was certain that nothing had been written."""


@contextlib.contextmanager
def _before_sending(writer: PostgresWriter) -> Iterator[None]:
    """Turn the loss of the connection into ``_NotSentError``: nothing was written yet."""
    try:
        yield
    except Exception as exc:
        if not lost(exc) or isinstance(exc, TimeoutError):
            raise
        writer.lose()
        raise _NotSentError from exc


def _plan(
    group: Sequence[_Queued], known: dict[StreamKey, StreamState]
) -> tuple[Commit, list[Result]]:
    commit = Commit(known)
    results: list[Result] = []
    for queued in group:
        try:
            results.append(commit.add(queued.batch, queued.now, queued.fence))
        except EnsembleError as exc:
            results.append(exc)
    return commit, results
