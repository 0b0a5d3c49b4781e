"""Timers and reminders that are set, and the moment each is due.

They live in the world model, so a restart forgets none; this only watches for the next one
to be due and says so there. Whoever talks to the person watches the world model too.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError
from ensemble.tool_server.ports import Clock, Seen, Thing, World

_LOG = structlog.get_logger()

TIMER: Final = "timer"
REMINDER: Final = "reminder"
KINDS: Final = (TIMER, REMINDER)

PENDING: Final = "pending"
FIRED: Final = "fired"
CANCELLED: Final = "cancelled"

MOST_PENDING: Final = 1000
"""Timers, and reminders, that can be set at once."""

_LONGEST_SLEEP: Final = 1.0
"""Seconds after which the wall clock is looked at again, because it can be set."""

_FIRST_RETRY: Final = 0.05
_LONGEST_RETRY: Final = 2.0


class Alarms:
    """Fires what is due.

    Args:
        world: Where timers and reminders are.
        clock: The wall clock.
    """

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._due: dict[tuple[str, str], datetime] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to follow the world model, as soon and as often as it can be reached."""
        self._tasks = [
            asyncio.create_task(self._follow(), name="alarms-follow"),
            asyncio.create_task(self._ring(), name="alarms-ring"),
        ]

    async def close(self) -> None:
        """Stop; what is due from now on fires after the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        self._tasks = []

    async def _follow(self) -> None:
        retry = _FIRST_RETRY
        while True:
            try:
                after = await self._load()
                retry = _FIRST_RETRY
                async with contextlib.aclosing(self._world.watch(after)) as changes:
                    async for thing in changes:
                        self._learn(thing)
            except EnsembleError as exc:
                _LOG.info("world model not followed", reason=exc.reason, retry_s=retry)
            except Exception as exc:
                _LOG.warning("world model not understood", error=type(exc).__name__)
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LONGEST_RETRY)

    async def _load(self) -> int:
        found = [
            await self._world.find(kind, attributes={"status": PENDING}, limit=MOST_PENDING)
            for kind in KINDS
        ]
        self._due.clear()
        for part in found:
            for thing in part.things:
                self._learn(thing)
        # What changed between the two questions is watched again from the first.
        return min(part.sequence for part in found)

    def _learn(self, thing: Thing) -> None:
        if thing.kind not in KINDS:
            return
        due = due_at(thing)
        if thing.removed or thing.attributes.get("status") != PENDING or due is None:
            self._due.pop((thing.kind, thing.name), None)
        else:
            self._due[thing.kind, thing.name] = due
            self._changed.set()

    async def _ring(self) -> None:
        retry = _FIRST_RETRY
        while True:
            self._changed.clear()
            now = self._clock()
            ready = [key for key, due in self._due.items() if due <= now]
            try:
                for key in sorted(ready, key=lambda key: self._due[key]):
                    await self._fire(*key, now)
                retry = _FIRST_RETRY
            except Exception as exc:
                # Whatever it was, the other alarms still have to ring.
                _LOG.warning("alarm not recorded", error=type(exc).__name__, retry_s=retry)
                await asyncio.sleep(retry)
                retry = min(2 * retry, _LONGEST_RETRY)
                continue
            await self._sleep(now)

    async def _fire(self, kind: str, name: str, now: datetime) -> None:
        seen = Seen(kind, name, {"status": FIRED, "fired_at": stamp(now)})
        await self._world.observe(f"{name}:fired", [seen])
        self._due.pop((kind, name), None)
        _LOG.info("alarm fired", kind=kind)

    async def _sleep(self, now: datetime) -> None:
        left = [(due - now).total_seconds() for due in self._due.values()]
        wait = min(_LONGEST_SLEEP, *left) if left else None
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            return


def due_at(thing: Thing) -> datetime | None:
    """Return when ``thing`` is due; None where it does not say."""
    try:
        due = datetime.fromisoformat(str(thing.attributes["due_at"]))
    except (KeyError, ValueError):
        return None
    return due if due.tzinfo else due.replace(tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
