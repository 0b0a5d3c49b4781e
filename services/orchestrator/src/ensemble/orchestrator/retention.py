"""Drops what is older than the owner wants to keep."""

import asyncio
import time
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError, SessionMovedError
from ensemble.eventlog import StoredEventLog, StreamKey
from ensemble.orchestrator.membership import Membership

_LOG = structlog.get_logger()

_TASK: Final = StreamKey("task", "retention")
"""Held by the orchestrator that does it, so that only one does."""

KINDS: Final = ("session", "input", "notice", "request", "resume")
"""Kinds of streams that conversations leave behind; ``resume`` those of earlier versions."""

_DAY_NS: Final = 86_400 * 1_000_000_000
_EVERY_S: Final = 3600.0


class Retention:
    """Drops conversations, and what is kept beside them, some days after their last event.

    Args:
        log: Where they are.
        membership: Of several orchestrators one at a time does it.
        keep_days: Age in days; 0 keeps everything.
    """

    def __init__(self, log: StoredEventLog, membership: Membership, keep_days: float) -> None:
        self._log = log
        self._membership = membership
        self._keep_days = keep_days
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first round is made at once."""
        if self._keep_days > 0:
            self._task = asyncio.create_task(self._run(), name="retention")

    async def close(self) -> None:
        """Stop; what is half done is completed by the next round."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            try:
                await self._membership.hold([_TASK])
                await self._drop()
            except SessionMovedError:
                _LOG.debug("retention_elsewhere")
            except EnsembleError as exc:
                _LOG.warning("retention_failed", reason=exc.reason)
            await asyncio.sleep(_EVERY_S)

    async def _drop(self) -> None:
        before = time.time_ns() - int(self._keep_days * _DAY_NS)
        for kind in KINDS:
            dropped = await self._log.drop(kind, before=before)
            if dropped.streams or dropped.damaged:
                _LOG.info(
                    "retention_dropped",
                    kind=kind,
                    streams=dropped.streams,
                    events=dropped.events,
                    damaged=len(dropped.damaged),
                )
