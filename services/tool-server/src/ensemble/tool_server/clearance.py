"""Removes what is kept of calls that nobody will ask for again."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError
from ensemble.tool_server.claims import KIND
from ensemble.tool_server.ports import Clock, Seen, Thing, World

_LOG = structlog.get_logger()

_EVERY_S: Final = 3600.0
_RETRY_S: Final = 60.0
_AT_ONCE: Final = 100


def _now() -> datetime:
    return datetime.now(UTC)


class Clearance:
    """Goes through the calls that are kept in the world model, again and again.

    A call that must not be repeated and whose record is gone is still not made again: the world
    model knows its start for as long as it keeps what was removed.

    Args:
        world: Where they are kept.
        ended_days: Days after its end for which a call is kept; 0 keeps it.
        unknown_days: Days after its start for which a call is kept of which nobody knows how
            it ended; 0 keeps it.
        clock: Tells the time.
    """

    def __init__(
        self, world: World, ended_days: float, unknown_days: float, clock: Clock = _now
    ) -> None:
        self._world = world
        self._ended = timedelta(days=ended_days)
        self._unknown = timedelta(days=unknown_days)
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first round is made at once."""
        if self._ended or self._unknown:
            self._task = asyncio.create_task(self._run(), name="clearance")

    async def close(self) -> None:
        """Stop; the next round goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def clear(self) -> int:
        """Make one round; return how many calls were removed.

        Raises:
            EnsembleError: The world model cannot be reached.
        """
        now = self._clock()
        async with contextlib.aclosing(self._world.browse(KIND)) as kept:
            old = [thing.name async for thing in kept if self._is_old(thing, now)]
        for first in range(0, len(old), _AT_ONCE):
            some = old[first : first + _AT_ONCE]
            await self._world.observe("", [Seen(KIND, name, removed=True) for name in some])
        return len(old)

    async def _run(self) -> None:
        while True:
            try:
                if cleared := await self.clear():
                    _LOG.info("records of calls removed", calls=cleared)
                await asyncio.sleep(_EVERY_S)
            except EnsembleError as exc:
                _LOG.info("records of calls not removed", reason=exc.reason)
                await asyncio.sleep(_RETRY_S)

    def _is_old(self, thing: Thing, now: datetime) -> bool:
        age = self._ended if "outcome" in thing.attributes else self._unknown
        return bool(age) and thing.seen_at is not None and thing.seen_at < now - age
