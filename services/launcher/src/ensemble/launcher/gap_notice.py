"""Tells a person that the connection is lost, and that it is back."""

import asyncio
from collections.abc import Callable
from typing import Final

from ensemble.client.conversation import Gap
from ensemble.core.errors import EnsembleError

_UNNOTICED_S: Final = 0.5
"""A loss that is made good sooner is not worth a line."""


class GapNotice:
    """Shows a line when a loss lasts, and one when it is over.

    Args:
        show: Shows one line.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._waiting: asyncio.TimerHandle | None = None

    def lost(self, error: EnsembleError) -> None:
        """A stream was lost; it is tried again."""
        del error
        self.end()
        loop = asyncio.get_running_loop()
        self._waiting = loop.call_later(_UNNOTICED_S, self._tell)

    def back(self, gap: Gap) -> None:
        """The loss was made good."""
        if self._waiting is None:
            self._show(f"[back after {gap.seconds:.1f} s]")
        self.end()

    def end(self) -> None:
        """Show nothing any more."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _tell(self) -> None:
        self._waiting = None
        self._show("[the connection is lost; trying again]")
