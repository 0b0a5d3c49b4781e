"""Hands committed events to those who follow a stream live."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final

from ensemble.eventlog.event_log import Event, StreamKey
from ensemble.eventlog.stream_state import Written

Read = Callable[[StreamKey, int, int], Awaitable[list[Event]]]

_PAGE: Final = 256
_BUFFER: Final = 256
"""Events kept for one follower; one that falls further behind reads from the store."""


class _Follower:
    """What one reader has not taken yet, as far as it fits."""

    def __init__(self, after: int) -> None:
        self.recent: deque[Event] = deque(maxlen=_BUFFER)
        self.news = asyncio.Event()
        self.after = after
        self.behind = True


class Followers:
    """The live readers of a log, on one event loop.

    Args:
        read: ``EventLog.read`` of the store they follow.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._followers: dict[StreamKey, set[_Follower]] = {}
        self._closed = False

    def publish(self, written: Written) -> None:
        """Tell the followers of their streams about committed events."""
        if not self._followers:
            return
        for stream in {item.stream for item in written.batch}:
            followers = self._followers.get(stream)
            if followers:
                committed = list(written.of(stream))
                for follower in followers:
                    follower.recent.extend(committed)
                    follower.news.set()

    def positions(self) -> dict[StreamKey, int]:
        """Return the streams that are followed, each with how far its last follower has come."""
        return {
            stream: min(follower.after for follower in followers)
            for stream, followers in self._followers.items()
        }

    def stir(self, streams: Iterable[StreamKey]) -> None:
        """Make the followers of ``streams`` read from the store: somebody else wrote there."""
        for stream in streams:
            for follower in self._followers.get(stream, ()):
                follower.behind = True
                follower.news.set()

    def close(self) -> None:
        """End every ``follow``."""
        self._closed = True
        for followers in self._followers.values():
            for follower in followers:
                follower.news.set()

    async def follow(self, stream: StreamKey, after: int) -> AsyncGenerator[Event, None]:
        """Yield every event with ``seq`` > ``after``, then follow live."""
        follower = _Follower(after)
        self._followers.setdefault(stream, set()).add(follower)
        try:
            while not self._closed:
                if follower.behind:
                    follower.behind = False
                    page = await self._read(stream, follower.after, _PAGE)
                    follower.behind |= len(page) == _PAGE
                    for event in page:
                        follower.after = event.seq
                        yield event
                    continue
                if not follower.recent:
                    follower.news.clear()
                    await follower.news.wait()
                    continue
                event = follower.recent[0]
                if event.seq > follower.after + 1:
                    # What lies between was pushed out of the buffer, or is on its way.
                    follower.behind = True
                    continue
                follower.recent.popleft()
                if event.seq > follower.after:
                    follower.after = event.seq
                    yield event
        finally:
            followers = self._followers[stream]
            followers.discard(follower)
            if not followers:
                del self._followers[stream]
