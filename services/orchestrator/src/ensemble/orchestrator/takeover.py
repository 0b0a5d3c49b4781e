"""Goes on with conversations that nobody else goes on with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError, SessionMovedError, SessionNotFoundError
from ensemble.orchestrator.membership import Membership
from ensemble.orchestrator.record import OPEN

_LOG = structlog.get_logger()

_AT_ONCE: Final = 64
"""Conversations that are read together and taken up in one go: few enough for heartbeats and
clients to have their turn in between."""


class Takeover:
    """Takes up what was under way in a process that died, this one's forerunner or another one,
    and what ended in this process because its record could not be written.

    Args:
        membership: In whose name it is taken up.
        load: Becomes the holder of a session, brings it into memory, and goes on with what is
            under way in it.
        load_held: Does so for sessions that are held; returns why it could not, by session.
    """

    def __init__(
        self,
        membership: Membership,
        load: Callable[[str], Awaitable[object]],
        load_held: Callable[[Sequence[str]], Awaitable[Mapping[str, EnsembleError]]],
    ) -> None:
        self._membership = membership
        self._load = load
        self._load_held = load_held
        self._broken: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, and look for more for as long as this process lives."""
        self._task = asyncio.create_task(self._run(), name="take-up")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def add(self, session_id: str) -> None:
        """Go on with a session of this process as soon as its record can be written again."""
        self._broken.add(session_id)
        self._wake.set()

    def forget_all(self) -> None:
        """What ended in this process is others' from now on."""
        self._broken.clear()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._take_broken()
                await self._take_orphans()
            except EnsembleError as exc:
                _LOG.warning("take_up_failed", reason=exc.reason)
            if self._membership.is_alone and not self._broken:
                await self._wake.wait()
            await self._membership.next_beat()

    async def _take_broken(self) -> None:
        for session_id in list(self._broken):
            try:
                await self._load(session_id)
            except (SessionMovedError, SessionNotFoundError):
                _LOG.debug("session_elsewhere", session_id=session_id)
            except EnsembleError as exc:
                if exc.retryable:
                    raise  # nor would another one be written
                self._failed(session_id, exc)
            self._broken.discard(session_id)

    async def _take_orphans(self) -> None:
        """Take what there is; while some are read, the next ones are claimed already."""
        loading: set[asyncio.Task[None]] = set()
        try:
            while taken := await self._membership.take_orphans("session", OPEN, _AT_ONCE):
                loading.add(asyncio.create_task(self._take([key.name for key in taken])))
                if len(loading) > 1:
                    done, loading = await asyncio.wait(loading, return_when=asyncio.FIRST_COMPLETED)
                    for each in done:
                        each.result()
                if self._membership.is_busiest:
                    break  # the others have until the next beat to take the rest
            await asyncio.gather(*loading)
        finally:
            for each in loading:
                each.cancel()

    async def _take(self, session_ids: Sequence[str]) -> None:
        failed = await self._load_held(session_ids)
        for session_id, error in failed.items():
            self._failed(session_id, error)
            if error.retryable:
                self.add(session_id)
        _LOG.info("answers_taken_up", count=len(session_ids))

    def _failed(self, session_id: str, error: EnsembleError) -> None:
        _LOG.warning("take_up_failed", session_id=session_id, reason=error.reason)
