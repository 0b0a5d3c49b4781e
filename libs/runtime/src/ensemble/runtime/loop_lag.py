"""How late the event loop runs: colocated services share it, so one that computes stalls all."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_INTERVAL: Final = 0.1
"""Seconds between two looks: often enough to see a stall of half a turn, ten wake-ups a second."""

_WINDOW: Final = 600
"""Looks that are kept: the last minute."""


class LoopLag:
    """Measures by how much a timer of the running loop comes late.

    Args:
        observe: Called with each lag in seconds.
    """

    def __init__(self, observe: Callable[[float], None] | None = None) -> None:
        self._observe = observe
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._handle: asyncio.TimerHandle | None = None
        self._longest = 0.0

    def start(self) -> None:
        """Begin to measure the running loop."""
        loop = asyncio.get_running_loop()
        self._schedule(loop)

    def stop(self) -> None:
        """Measure no more; what was measured stays readable."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def longest(self) -> float:
        """The longest lag since the start, in seconds."""
        return self._longest

    def percentile(self, share: float) -> float:
        """Return the lag in seconds that ``share`` (0..1) of the last minute's looks kept to."""
        if not self._recent:
            return 0.0
        ordered = sorted(self._recent)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _INTERVAL
        self._handle = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        lag = max(0.0, loop.time() - due)
        self._recent.append(lag)
        self._longest = max(self._longest, lag)
        if self._observe is not None:
            self._observe(lag)
        self._schedule(loop)
