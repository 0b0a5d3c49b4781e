"""Signs of life on a stream that has nothing else to say."""

import asyncio
from collections.abc import Callable

from ensemble.core.services import HEARTBEAT_INTERVAL


class Pulse:
    """Calls ``beat`` whenever nothing was sent for a while. One timer serves the stream.

    Args:
        beat: Has a heartbeat sent.
        interval: Seconds without anything sent.
    """

    def __init__(self, beat: Callable[[], None], interval: float = HEARTBEAT_INTERVAL) -> None:
        self._beat = beat
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer = self._loop.call_later(interval, self._check)

    def sent(self) -> None:
        """Take note that something was sent just now."""
        self._last = self._loop.time()

    def close(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _check(self) -> None:
        due = self._last + self._interval
        now = self._loop.time()
        if due <= now:
            self._last = now
            due = now + self._interval
            self._beat()
        self._timer = self._loop.call_at(due, self._check)
