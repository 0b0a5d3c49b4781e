"""Flow by credit: the receiver says how many events it will take."""

import asyncio


class CreditWindow:
    """What a sender may still send on one stream.

    Args:
        initial: Events allowed from the start; 0 means no limit for the whole stream.
    """

    def __init__(self, initial: int = 0) -> None:
        self._unlimited = initial == 0
        self._left = initial
        self._granted = asyncio.Event()
        if initial:
            self._granted.set()

    def grant(self, events: int) -> None:
        """Allow ``events`` more."""
        self._left += events
        if self._left > 0:
            self._granted.set()

    async def take(self) -> None:
        """Wait until one event may be sent, and count it."""
        if self._unlimited:
            return
        while self._left <= 0:
            self._granted.clear()
            await self._granted.wait()
        self._left -= 1
