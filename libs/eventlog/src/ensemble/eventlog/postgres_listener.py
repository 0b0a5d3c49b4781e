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
_WHO: Final = "ensemble_listeners"
"""Where those who listen find each other."""

_ASK: Final = "who listens?"
_ANSWER: Final = "I do."
_ASK_S: Final = 10.0
_POLL_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 1.0

_LAST_WORDS_S: Final = 0.5

_NEWS_LIMIT: Final = 7000
"""Bytes of a notification; Postgres takes fewer than 8000."""

_TOLD_BY_NAME: Final = 256
"""Streams that are kept to be told; where there are more, all are meant."""

_NOTIFY: Final = "SELECT pg_notify($1, $2)"

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
    would have told. A process that is alone sends none: each would cost as much as a commit does
    without its disk. Whoever begins to listen asks who else does, and again now and then; what was
    to be told in the meantime is told to the first who answers.

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
        self._others: bool | None = None  # None: nobody has answered yet
        self._asked = False
        self._answered = False
        self._answers = False
        self._task = asyncio.create_task(self._run(), name="postgres-log-listener")

    def tell(self, streams: Iterable[StreamKey]) -> None:
        """Let the other processes know that ``streams`` have grown."""
        if self._others is False:
            return
        if len(self._untold) < _TOLD_BY_NAME:
            self._untold.update(streams)
        if not self._untold or self._others is None:
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
        await connection.add_listener(_WHO, self._met)
        self._others, self._asked = None, False
        poll = ask = time.monotonic()
        while not connection.is_closed():
            now = time.monotonic()
            if now >= poll:
                await self._poll(connection)
                self._judge()
                poll = now + _POLL_S
            if now >= ask and self._others is not False:
                self._asked, self._answered = True, False
                await connection.execute(_NOTIFY, _WHO, _ASK)
                ask = now + _ASK_S
            if self._answers:
                self._answers = False
                await connection.execute(_NOTIFY, _WHO, _ANSWER)
            if self._untold and self._others:
                await self._send(connection)
            # Not wait_for: on 3.11 it may swallow the cancellation by close.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll - time.monotonic()):
                    await self._wake.wait()
            self._wake.clear()

    def _judge(self) -> None:
        """Take nobody to be there if nobody has answered since the poll before."""
        if self._asked and not self._answered:
            self._others = False
            self._untold.clear()
            self._told.set()
        self._asked = False

    def _met(self, _: Connection, pid: int, __: str, said: str) -> None:
        if pid == self._pid:
            return
        self._others = self._answered = True
        self._answers = self._answers or said == _ASK
        self._wake.set()

    async def _send(self, connection: Connection) -> None:
        streams, self._untold = self._untold, set()
        news = json.dumps([[stream.kind, stream.name] for stream in streams])
        if len(streams) >= _TOLD_BY_NAME or len(news) > _NEWS_LIMIT:
            news = ""
        await connection.execute(_NOTIFY, _CHANNEL, news)
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
