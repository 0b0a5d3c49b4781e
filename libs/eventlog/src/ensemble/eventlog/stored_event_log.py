"""The port: an event log whose store somebody looks after."""

import abc
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Final

from ensemble.eventlog.event_log import Event, EventLog, Glance, StreamKey
from ensemble.eventlog.followers import Followers
from ensemble.eventlog.records import Batch, Sums
from ensemble.eventlog.upcasters import Upcasters

DROP_PAGE: Final = 500
"""Segments that are dropped in one transaction, so that appends need not wait for long."""

SCAN_WINDOW: Final = 10_000
"""Streams that are looked at in one query for old ones."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a retention took away.

    Attributes:
        streams: Streams of which no event is left.
        events: Events that are gone.
        damaged: Streams that were left as they are, from about the event on that does not
            follow from the one before: somebody has to look at them first. ``erase`` takes
            away what they say.
    """

    streams: int = 0
    events: int = 0
    damaged: tuple[StreamKey, ...] = ()


@dataclass(frozen=True, slots=True)
class OldStreams:
    """Which streams a retention is about.

    Attributes:
        kind: Their kind.
        before: Their last event is older than this, in nanoseconds since the epoch.
        erased: Only those that were erased, and to which nothing was appended since.
    """

    kind: str
    before: int
    erased: bool


@dataclass(frozen=True, slots=True)
class DroppedPage:
    """What one transaction of a retention did to one stream."""

    events: int = 0
    done: bool = True
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class WholeLog:
    """A log as it was at one moment.

    Attributes:
        streams, events: How many it had.
        records: All it had; to be read once.
    """

    streams: int
    events: int
    records: AsyncIterator[Batch]


class StoredEventLog(EventLog):
    """An event log in a store that lasts.

    Args:
        upcasters: For events of earlier versions, which are read as if of the newest.
    """

    def __init__(self, upcasters: Upcasters | None = None) -> None:
        self._upcasters = upcasters or Upcasters()
        self._followers = Followers(self._read)

    async def read(self, stream: StreamKey, after: int = 0, limit: int = 256) -> list[Event]:
        """See ``EventLog.read``. Every event is checked against the chain.

        Raises:
            StorageCorruptError: An event that would be returned was changed, or is missing.
        """
        return self._upcasters.all(await self._read(stream, after, limit))

    async def tail(self, stream: StreamKey, after: int = 0) -> AsyncIterator[Event]:
        """See ``EventLog.tail``."""
        async with aclosing(self._followers.follow(stream, after)) as events:
            async for event in events:
                yield self._upcasters.raised(event)

    def _upcast(self, glances: list[Glance | None]) -> list[Glance | None]:
        """Return what was looked at, its events in the newest versions of their types."""
        return [
            glance and replace(glance, events=self._upcasters.all(glance.events))
            for glance in glances
        ]

    @abc.abstractmethod
    async def _read(self, stream: StreamKey, after: int, limit: int) -> list[Event]:
        """Return events as they are stored; raises as ``read``."""

    async def drop(self, kind: str, *, before: int, erased: bool = False) -> Dropped:
        """Drop the events of streams of ``kind`` whose last event is older than ``before``.

        Streams that carry a mark are still worked on and stay. Each transaction takes away
        ``DROP_PAGE`` segments at most, oldest first, and those that append go in between; what
        was cut off half way is completed by dropping again.

        What remains of a stream is proof that there was one: its kind, name and times, how many
        events it had, and the link at which its chain ended, so that a chain head noted
        elsewhere can still be compared. Its chain was checked before anything was dropped.
        ``audit`` finds it intact, ``head``, ``heads`` and the views do not show it any more, and
        what is appended later goes on from the same ``seq`` and link. Nothing tells what was
        said, who owned it, what was done for it or what it cost.

        Args:
            before: Nanoseconds since the epoch.
            erased: Only streams that were erased: until they are dropped, they keep type and
                time of each event.
        """
        which = OldStreams(kind, before, erased)
        streams = events = after = 0
        damaged: list[StreamKey] = []
        while True:
            after, names = await self._find_old(which, after)
            for name in names:
                stream = StreamKey(kind, name)
                while not (page := await self._drop_page(stream, which)).done:
                    events += page.events
                events += page.events
                streams += bool(page.events)
                if page.damaged:
                    damaged.append(stream)
            if not after:
                return Dropped(streams, events, tuple(damaged))

    @abc.abstractmethod
    def snapshot_of_all(self) -> AbstractAsyncContextManager["WholeLog"]:
        """Show everything as it is at this moment, however long it is looked at; appends go on.

        See ``ensemble.eventlog.backup.backup``.
        """

    @abc.abstractmethod
    async def load(self, batches: Iterator[Batch], sums: Sums) -> None:
        """Write records into the empty log, in one transaction; nothing if one is refused.

        See ``ensemble.eventlog.backup.restore``.

        Args:
            batches: Called in a thread. What it raises undoes the transaction.
            sums: Of these records, once ``batches`` has ended.

        Raises:
            StorageNotEmptyError: The log was written to already.
            StorageCorruptError: The store did not give back what was written.
        """

    @abc.abstractmethod
    async def _find_old(self, which: OldStreams, after: int) -> tuple[int, list[str]]:
        """Look at ``SCAN_WINDOW`` streams whose id is higher than ``after``.

        Returns:
            The last id that was looked at, 0 if there are no more; and the names of those to
            drop.
        """

    @abc.abstractmethod
    async def _drop_page(self, stream: StreamKey, which: OldStreams) -> DroppedPage:
        """Drop the first ``DROP_PAGE`` segments of a stream, if it is still old."""
