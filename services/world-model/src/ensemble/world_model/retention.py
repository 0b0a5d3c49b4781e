"""Forgets what was removed long ago."""

import asyncio
import time
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError
from ensemble.world_model.ports import WorldStore

_LOG = structlog.get_logger()

_DAY_US: Final = 86_400 * 1_000_000
_EVERY_S: Final = 3600.0


class Retention:
    """Forgets entities some days after they were removed.

    Args:
        store: Where they are.
        keep_days: Age in days; 0 keeps everything.
    """

    def __init__(self, store: WorldStore, keep_days: float) -> None:
        self._store = store
        self._keep_days = keep_days
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first round is made at once."""
        if self._keep_days > 0:
            self._task = asyncio.create_task(self._run(), name="world-retention")

    async def close(self) -> None:
        """Stop; the next round goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            before = time.time_ns() // 1000 - int(self._keep_days * _DAY_US)
            try:
                if forgotten := await self._store.forget_removed(before):
                    _LOG.info("removed things forgotten", entities=forgotten)
            except EnsembleError as exc:
                _LOG.warning("removed things not forgotten", reason=exc.reason)
            await asyncio.sleep(_EVERY_S)
