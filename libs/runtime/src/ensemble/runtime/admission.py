"""Whether a service takes calls now, and how many it has open."""

import asyncio
import enum
from collections.abc import Awaitable
from typing import Final

from ensemble.core.errors import DrainingError, ServiceUnavailableError
from ensemble.runtime.interceptors.chain import Call, Layer

_ABOUT_THE_NODE: Final = "/ensemble.v1.NodeService/"
"""What tells how a service is must answer also while the service does not."""


class State(enum.Enum):
    """How a service is."""

    STARTING = "starting"
    SERVING = "serving"
    FAILED = "failed"
    DRAINING = "draining"


class Admission(Layer):
    """Lets calls in while the service serves; one that starts is waited for, within limits.

    Args:
        service: Name of the service.
        start_wait: Longest wait of a call for a service that is starting, in seconds.
    """

    def __init__(self, service: str, start_wait: float) -> None:
        self._service = service
        self._start_wait = start_wait
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = 0
        self.state = State.STARTING
        self.detail = ""

    @property
    def open(self) -> int:
        """Calls and streams that are open now."""
        return self._open

    def change(self, state: State, detail: str = "") -> None:
        """Take calls, or refuse them with ``detail`` as the reason."""
        self.state = state
        self.detail = detail
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def settled(self) -> None:
        """Wait until the service is no longer starting."""
        while self.state is State.STARTING:
            await self._changed.wait()

    async def serving(self) -> None:
        """Wait until the service serves."""
        while self.state is not State.SERVING:
            await self._changed.wait()

    async def idle(self) -> None:
        """Wait until no call is open."""
        await self._idle.wait()

    def enter(self, call: Call) -> Awaitable[None] | None:
        """Count the call in, or refuse it."""
        if self.state is State.SERVING:
            self._count()
            return None
        if call.method.startswith(_ABOUT_THE_NODE):
            self._count()
            return None
        if self.state is State.STARTING:
            return self._enter_later()
        self._admit()
        return None

    async def _enter_later(self) -> None:
        try:
            async with asyncio.timeout(self._start_wait):
                await self.settled()
        except TimeoutError:
            raise ServiceUnavailableError(
                f"{self._service} is still starting; try again.",
                metadata={"service": self._service},
            ) from None
        self._admit()

    def _admit(self) -> None:
        if self.state is State.DRAINING:
            raise DrainingError(metadata={"service": self._service})
        if self.state is not State.SERVING:
            raise ServiceUnavailableError(
                f"{self._service} is not available: {self.detail}",
                metadata={"service": self._service},
            )
        self._count()

    def _count(self) -> None:
        if not self._open:
            self._idle.clear()
        self._open += 1

    def leave(self, call: Call) -> None:
        """Count the call out."""
        self._open -= 1
        if not self._open:
            self._idle.set()
