"""Leaves a failing model alone for a while."""

import time
from collections.abc import Callable

_FIRST = 0.5
_LONGEST = 30.0


class Circuit:
    """Opens when a model fails, for longer each time, and closes when it answers.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    @property
    def remaining(self) -> float:
        """Seconds until the model may be tried again; 0 when it may."""
        return max(0.0, self._until - self._clock())

    def failed(self) -> None:
        """Note a failure."""
        self._until = self._clock() + min(_LONGEST, _FIRST * 2**self._failures)
        self._failures = min(self._failures + 1, 16)

    def answered(self) -> None:
        """Note an answer."""
        self._failures = 0
        self._until = 0.0
