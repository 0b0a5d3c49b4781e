"""Tells other processes of commits and hears of theirs; behind the notifications, a poll."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable
from typing import Final

from ensemble.core.errors import EnsembleError
from ensemble.eventlog.event_log import StreamKey
from ensemble.eventlog.followers import Followers
from ensemble.eventlog.postgres_database import Connection, Database, lost

_CHANNEL: Final = "ensemble_events"
_POLL_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 1.0

_LAST_WORDS_S: Final = 0.5

_NEWS_LIMIT: Final = 7000
"""Bytes of a notification; Postgres takes fewer than 8000."""

_TOLD_BY_NAME: Final = 256
"""Streams that are kept to be told; where there are more, all are meant."""

_NEWER: Final = """
SELECT s.kind, s.name FROM streams s
    JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS n (kind, name, seq)
    ON s.kind = n.kind AND s.name = n.name
WHERE s.last_seq > n.seq
"""


class PostgresListener:
    """Stirs ``followers`` when one of their streams has grown.

    Notifications are sent after the commit that they tell of, on the listening connection:
    within the commit's transaction they would make all processes commit one after another, as
    Postgres holds one lock for all that notify. If they are lost, the poll finds what they
    would have told.

    Args:
        database: Where to listen, on a connection of its own that is opened again when lost.
        followers: Those who wait for events.
    """

    def __init__(self, database: Database, followers: Followers) -> None:
        self._database = database
        self._followers = followers
        self._untold: set[StreamKey] = set()
        self._wake = asyncio.Event()
        self._told = asyncio.Event()
        self._told.set()
        self._pid = 0
        self._task = asyncio.create_task(self._run(), name="postgres-log-listener")

    def tell(self, streams: Iterable[StreamKey]) -> None:
        """Let the other processes know that ``streams`` have grown."""
        if len(self._untold) < _TOLD_BY_NAME:
            self._untold.update(streams)
        if not self._untold:
            return
        self._told.clear()
        # Those whose append this was go on first.
        asyncio.get_running_loop().call_soon(self._wake.set)

    async def close(self) -> None:
        """Tell what is to be told, if it takes no longer than ``_LAST_WORDS_S``; then end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._told.wait()
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
        self._pid = connection.get_server_pid()
        connection.add_termination_listener(lambda _: self._wake.set())
        await connection.add_listener(_CHANNEL, self._heard)
        poll = time.monotonic()
        while not connection.is_closed():
            if time.monotonic() >= poll:
                await self._poll(connection)
                poll = time.monotonic() + _POLL_S
            if self._untold:
                await self._send(connection)
            # Not wait_for: on 3.11 it may swallow the cancellation by close.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll - time.monotonic()):
                    await self._wake.wait()
            self._wake.clear()

    async def _send(self, connection: Connection) -> None:
        streams, self._untold = self._untold, set()
        news = json.dumps([[stream.kind, stream.name] for stream in streams])
        if len(streams) >= _TOLD_BY_NAME or len(news) > _NEWS_LIMIT:
            news = ""
        await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, news)
        if not self._untold:
            self._told.set()

    def _heard(self, _: Connection, pid: int, __: str, news: str) -> None:
        if pid == self._pid:
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
