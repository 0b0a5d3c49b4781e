"""Reads of the SQLite log: those that wait at the same time share one trip to the thread."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")
_Read = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]
_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]

_TOGETHER: Final = 32
"""Reads of one trip at most, so that the first of many have not to wait for the last."""


class SharedReader:
    """Runs reads in a thread of its own, in the order in which they came.

    A trip to a thread and back costs more than most reads: a thousand sessions that are read at
    once would spend their time on the way. Built on the loop that will use it.

    Args:
        connection: What is read from; closed by ``close``.
        name: Of the thread.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: deque[_Read] = deque()
        self._away = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` returns, which is called in the thread."""
        result: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append((work, result))
        if not self._away:
            # Whoever reads in this turn of the loop as well comes along.
            self._away = True
            self._loop.call_soon(self._leave)
        return await result

    def _leave(self) -> None:
        count = min(len(self._waiting), _TOGETHER)
        reads = [self._waiting.popleft() for _ in range(count)]
        self._thread.submit(self._read, reads)

    def _read(self, reads: list[_Read]) -> None:
        done: list[_Done] = []
        for work, result in reads:
            try:
                done.append((result, work(self._connection), None))
            except BaseException as exc:  # it belongs to whoever reads
                done.append((result, None, exc))
        self._loop.call_soon_threadsafe(self._arrive, done)

    def _arrive(self, done: list[_Done]) -> None:
        self._away = bool(self._waiting)
        if self._away:
            self._leave()
        for result, found, error in done:
            if result.done():
                continue  # nobody waits for it any more
            if error is None:
                result.set_result(found)
            else:
                result.set_exception(error)

    async def close(self) -> None:
        """Finish the reads that wait, then close the connection."""
        while self._away:
            await self.run(lambda _: None)
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()
