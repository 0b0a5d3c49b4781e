"""This process as one of those that may own conversations."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ensemble.core.errors import (
    EnsembleError,
    FencedOffError,
    ServiceUnavailableError,
    SessionMovedError,
)
from ensemble.eventlog import Instance, Ownership, Peer, StreamKey
from ensemble.eventlog.ownership import BEAT_INTERVAL_S, LEASE_S

_LOG = structlog.get_logger()

_SEEMS_ALIVE_S: Final = 0.6
"""A holder whose beat grew this long ago is left its conversations; who asks is sent there."""

_HOLD_WAIT_S: Final = LEASE_S + 1.0
"""How long a caller waits for a holder that has fallen silent to be declared dead."""


class Membership:
    """Holds conversations in the name of one instance, and tells when others have died.

    Among several processes each one beats and watches the beats of the others. Where only one
    process can use the store, there is nobody to show a beat to, and each would cost a commit.

    Args:
        ownership: Who holds what.
        slot: What this process runs as; one process at a time.
        address: Where gateways reach it; empty if they cannot.
        alone: No other process can use the store.
        load: Returns how many conversations this process works on.
    """

    def __init__(
        self,
        ownership: Ownership,
        slot: str,
        address: str,
        *,
        alone: bool,
        load: Callable[[], int],
    ) -> None:
        self._ownership = ownership
        self._slot = slot
        self._address = address
        self._alone = alone
        self._load = load
        self._instance: Instance | None = None
        self._leaving = False
        self._others: dict[int, tuple[int, float]] = {}
        self._peers: Sequence[Peer] = ()
        self._beaten = asyncio.Condition()
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def instance(self) -> Instance:
        """What this process is in the store."""
        if self._instance is None:
            raise ServiceUnavailableError("The orchestrator is still starting.")
        return self._instance

    @property
    def fence(self) -> int:
        """The number that goes with everything this process writes."""
        return self.instance.fence

    @property
    def is_alone(self) -> bool:
        """No other process can use the store."""
        return self._alone

    async def join(self) -> None:
        """Become the instance of the slot; the one before it may write no more."""
        self._instance = await self._ownership.join(self._slot, self._address)
        self._joined.set()

    async def joined(self) -> None:
        """Wait while this process was taken for dead and has not joined anew.

        Raises:
            ServiceUnavailableError: It takes too long.
        """
        if self._joined.is_set():
            return
        try:
            async with asyncio.timeout(_HOLD_WAIT_S):
                await self._joined.wait()
        except TimeoutError:
            raise ServiceUnavailableError("The orchestrator was taken for dead.") from None

    def start(self, on_fenced: Callable[[], Awaitable[None]]) -> None:
        """Begin to beat.

        Args:
            on_fenced: Called when others have taken this process for dead, before it joins
                anew: what it held may be held by them.
        """
        if not self._alone:
            self._task = asyncio.create_task(self._run(on_fenced), name="membership")

    def leave_soon(self) -> None:
        """Take nothing new from now on."""
        self._leaving = True

    async def close(self) -> None:
        """Leave: what is still held may be taken by others at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._instance is not None:
            with contextlib.suppress(EnsembleError):
                await self._ownership.leave(self._instance)

    async def hold(self, streams: Sequence[StreamKey]) -> None:
        """Become the holder of ``streams``; waits until a holder that died is known to be dead.

        Raises:
            SessionMovedError: Another living process holds one of them; says where it is.
            ServiceUnavailableError: It cannot be told in time whether the holder lives.
        """
        until = asyncio.get_running_loop().time() + _HOLD_WAIT_S
        for stream in streams:
            while not await self._ownership.claim(stream, self.instance):
                holder = await self._ownership.holder(stream)
                if holder is not None and self._seems_alive(holder):
                    raise SessionMovedError(metadata={"owner": holder.address})
                if asyncio.get_running_loop().time() > until:
                    raise ServiceUnavailableError(
                        "The session's holder does not answer; try again."
                    )
                await self.next_beat()

    async def holds_elsewhere(self, stream: StreamKey) -> Instance | None:
        """Return the other process that holds a stream and seems to live."""
        if self._alone:
            return None
        holder = await self._ownership.holder(stream)
        if holder is None or holder.fence == self.fence or not self._seems_alive(holder):
            return None
        return holder

    async def take_orphans(self, kind: str, mark: str, limit: int) -> list[StreamKey]:
        """Become the holder of up to ``limit`` marked streams that nobody living holds."""
        if self._leaving:
            return []
        return await self._ownership.claim_orphans(kind, mark, self.instance, limit)

    async def release(self, streams: Sequence[StreamKey]) -> None:
        """Hold streams no more."""
        await self._ownership.release(streams, self.instance)

    @property
    def is_busiest(self) -> bool:
        """Another one that lives and stays works on less than this process."""
        mine = self._load()
        return any(
            peer.load < mine and not peer.leaving and self._seems_alive(peer.instance)
            for peer in self._peers
        )

    async def next_beat(self) -> None:
        """Wait until more is known of the others, at most an interval and a half."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.5 * BEAT_INTERVAL_S), self._beaten:
                await self._beaten.wait()

    def _seems_alive(self, other: Instance) -> bool:
        if other.fence == self.fence:
            return True
        _, since = self._others.get(other.fence, (0, asyncio.get_running_loop().time()))
        return asyncio.get_running_loop().time() - since < _SEEMS_ALIVE_S

    async def _run(self, on_fenced: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_INTERVAL_S
            try:
                await self._beat()
            except FencedOffError:
                _LOG.warning("fenced_off", slot=self._slot, fence=self.fence)
                self._joined.clear()
                await on_fenced()
                await self._rejoin()
            except EnsembleError as exc:
                _LOG.warning("beat_failed", reason=exc.reason)
            async with self._beaten:
                self._beaten.notify_all()
            await asyncio.sleep(max(due - loop.time(), 0))

    async def _beat(self) -> None:
        peers = await self._ownership.beat(self.instance, load=self._load(), leaving=self._leaving)
        now = asyncio.get_running_loop().time()
        others: dict[int, tuple[int, float]] = {}
        for peer in peers:
            fence = peer.instance.fence
            if fence == self.fence:
                continue
            beat, since = self._others.get(fence, (-1, now))
            if beat != peer.beat:
                since = now
            others[fence] = peer.beat, since
            if now - since >= LEASE_S and await self._ownership.bury(peer):
                _LOG.warning("instance_died", slot=peer.instance.slot, fence=fence)
        self._others = others
        self._peers = [peer for peer in peers if peer.instance.fence in others]

    async def _rejoin(self) -> None:
        try:
            self._instance = await self._ownership.join(
                self._slot, self._address, after=self._instance
            )
            self._joined.set()
        except FencedOffError:
            _LOG.error("slot_taken", slot=self._slot, hint="give each its own _SLOT")
        except EnsembleError as exc:
            _LOG.warning("join_failed", reason=exc.reason)
