"""An event log whose commits take no time: what is left of a turn without them."""

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

from ensemble.core.errors import ConflictError
from ensemble.eventlog import (
    Append,
    Audit,
    Erased,
    Event,
    EventLog,
    Head,
    Instance,
    Ownership,
    Peer,
    Snapshot,
    StreamKey,
    Upcasters,
)


class NoOthers(Ownership):
    """Ownership where nobody else is: everything belongs to the one instance."""

    async def join(
        self, slot: str, address: str = "", *, after: Instance | None = None
    ) -> Instance:
        """Return the only instance. Streams are made with fence 0, and it is theirs."""
        return Instance(slot, 1, 0, address)

    async def beat(self, instance: Instance, *, load: int = 0, leaving: bool = False) -> list[Peer]:
        """Return nobody."""
        return []

    async def bury(self, peer: Peer) -> bool:
        """There is nobody to bury."""
        return False

    async def leave(self, instance: Instance) -> None:
        """Nothing is held."""

    async def claim(self, stream: StreamKey, instance: Instance) -> bool:
        """Every claim holds."""
        return True

    async def claim_orphans(
        self, kind: str, mark: str, instance: Instance, limit: int
    ) -> list[StreamKey]:
        """There are none: nothing outlives the process."""
        return []

    async def holder(self, stream: StreamKey) -> Instance | None:
        """Return nobody."""
        return None

    async def release(self, streams: Sequence[StreamKey], instance: Instance) -> None:
        """Nothing is held."""


class InstantLog(EventLog):
    """Keeps streams in memory. Never followed, so it has no tail."""

    def __init__(self) -> None:
        self._events: dict[StreamKey, list[Event]] = {}
        self._heads: dict[StreamKey, Head] = {}
        self._positions = itertools.count(1)
        self.commits = 0
        self.ownership = NoOthers()

    @classmethod
    async def open(cls, path: Path, *, upcasters: Upcasters | None = None) -> Self:
        """Return an empty log; nothing is opened."""
        return cls()

    async def append(self, batch: Sequence[Append], *, fence: int = 0, at: int = 0) -> list[int]:
        """See ``EventLog.append``."""
        self.commits += 1
        now = at or time.time_ns()
        return [self._add(item, now) for item in batch]

    def _add(self, item: Append, now: int) -> int:
        events = self._events.setdefault(item.stream, [])
        if item.expected_seq is not None and item.expected_seq != len(events):
            raise ConflictError("The stream stands elsewhere.")
        seq = len(events) + 1
        events.append(Event(item.stream, seq, item.type, item.payload, item.schema_version, now))
        before = self._heads.get(item.stream)
        self._heads[item.stream] = Head(
            item.stream,
            before.owner if before else item.owner,
            item.mark if item.mark is not None else before.mark if before else "",
            seq,
            next(self._positions),
            before.created_at if before else now,
            now,
        )
        return seq

    async def read(self, stream: StreamKey, after: int = 0, limit: int = 256) -> list[Event]:
        """See ``EventLog.read``."""
        return self._events.get(stream, [])[after : after + limit]

    async def tail(self, stream: StreamKey, after: int = 0) -> AsyncIterator[Event]:
        """Yield what is there, and end."""
        for event in self._events.get(stream, [])[after:]:
            yield event

    async def head(self, stream: StreamKey) -> Head | None:
        """See ``EventLog.head``."""
        return self._heads.get(stream)

    async def heads(
        self,
        kind: str,
        *,
        owner: str | None = None,
        mark: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Head]:
        """See ``EventLog.heads``."""
        found = [
            head
            for head in self._heads.values()
            if head.stream.kind == kind
            and owner in (None, head.owner)
            and mark in (None, head.mark)
            and (before is None or head.position < before)
        ]
        return sorted(found, key=lambda head: -head.position)[:limit]

    async def snapshot(self, stream: StreamKey) -> Snapshot | None:
        """None is kept."""
        return None

    async def audit(self, stream: StreamKey) -> Audit:
        """There is no chain: everything is taken to be intact."""
        return Audit(len(self._events.get(stream, [])), 0, 0, b"")

    async def erase(self, streams: Sequence[StreamKey]) -> Erased:
        """Forget the streams."""
        gone = [self._events.pop(stream, []) for stream in streams]
        for stream in streams:
            self._heads.pop(stream, None)
        return Erased(sum(1 for events in gone if events), sum(map(len, gone)))

    async def close(self) -> None:
        """See ``EventLog.close``."""
