"""What one principal may do at once and over time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ensemble.core.errors import RateLimitedError, TooManyStreamsError

_PRINCIPALS = 10_000
"""Principals whose buckets are remembered; the one not seen for longest is dropped."""


class RateLimit:
    """A token bucket for each principal.

    Args:
        rate: Tokens a second.
        burst: Tokens at most.
        clock: Seconds that only grow.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, principal: str) -> float:
        """Take one token; return 0, or the seconds until there is one."""
        now = self._clock()
        tokens, since = self._buckets.pop(principal, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if tokens >= 1.0:
            self._buckets[principal] = (tokens - 1.0, now)
            wait = 0.0
        else:
            self._buckets[principal] = (tokens, now)
            wait = (1.0 - tokens) / self._rate
        if len(self._buckets) > _PRINCIPALS:
            self._buckets.popitem(last=False)
        return wait

    async def wait(self, principal: str) -> None:
        """Wait until there is a token, and take it."""
        while seconds := self.take(principal):  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(seconds)

    def check(self, principal: str) -> None:
        """Take one token or raise RateLimitedError."""
        if wait := self.take(principal):
            raise RateLimitedError(retry_after=wait)


class StreamLimit:
    """How many conversations one principal may have open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    @contextmanager
    def hold(self, principal: str) -> Iterator[None]:
        """Count one stream while inside; TooManyStreamsError when there are enough."""
        count = self._open.get(principal, 0)
        if count >= self._most:
            raise TooManyStreamsError(
                f"{self._most} conversations are open already; close one first."
            )
        self._open[principal] = count + 1
        try:
            yield
        finally:
            left = self._open[principal] - 1
            if left:
                self._open[principal] = left
            else:
                del self._open[principal]
