"""Hears of commits by other processes: notifications at once, and a poll behind them."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Final

from ensemble.core.errors import EnsembleError
from ensemble.eventlog.event_log import StreamKey
from ensemble.eventlog.followers import Followers
from ensemble.eventlog.postgres_commit import CHANNEL
from ensemble.eventlog.postgres_database import Connection, Database, lost

_POLL_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 1.0

_NEWER: Final = """
SELECT s.kind, s.name FROM streams s
    JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS n (kind, name, seq)
    ON s.kind = n.kind AND s.name = n.name
WHERE s.last_seq > n.seq
"""


class PostgresListener:
    """Stirs ``followers`` when one of their streams has grown.

    Args:
        database: Where to listen, on a connection of its own that is opened again when lost.
        followers: Those who wait for events.
        own_pid: Returns the server process of this log's writer, whose commits reach the
            followers without a detour.
    """

    def __init__(
        self, database: Database, followers: Followers, own_pid: Callable[[], int]
    ) -> None:
        self._database = database
        self._followers = followers
        self._own_pid = own_pid
        self._task = asyncio.create_task(self._run(), name="postgres-log-listener")

    async def close(self) -> None:
        """Listen no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        pause = 0.05
        while True:
            began = time.monotonic()
            try:
                connection = await self._database.connect()
                try:
                    await self._listen(connection)
                finally:
                    connection.terminate()
            except (EnsembleError, OSError):
                pass
            except Exception as exc:
                if not lost(exc) and not hasattr(exc, "sqlstate"):
                    raise
            pause = 0.05 if time.monotonic() - began > _POLL_S else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _listen(self, connection: Connection) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(CHANNEL, self._heard)
        while not ended.is_set():
            await self._poll(connection)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _POLL_S)

    def _heard(self, _: Connection, pid: int, __: str, news: str) -> None:
        if pid == self._own_pid():
            return
        if not news:
            self._followers.stir(self._followers.positions())
            return
        self._followers.stir([StreamKey(kind, name) for kind, name in json.loads(news)])

    async def _poll(self, connection: Connection) -> None:
        positions = self._followers.positions()
        if not positions:
            return
        rows = await connection.fetch(
            _NEWER,
            [stream.kind for stream in positions],
            [stream.name for stream in positions],
            list(positions.values()),
        )
        self._followers.stir([StreamKey(*row) for row in rows])
