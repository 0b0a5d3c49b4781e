"""The port: which instance may write to which stream.

An instance is one run of a program in a *slot*. Joining gives it a *fence*, a number that no
other instance has or ever had. A stream that is held carries the fence of its holder, and an
append to it with any other fence is refused, in the same transaction that would have written:
an instance that wakes up late can do no harm.

Whether a holder is alive is told without comparing clocks: each instance makes its ``beat``
grow every 250 ms, and one that saw no growth for a second by its own monotonic clock may
``bury`` it. Burying compares the beat once more, so that one of two who disagree is refused. A new
instance of the same slot buries the former one by joining.
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.core.errors import FencedOffError
from ensemble.eventlog.event_log import StreamKey

BEAT_INTERVAL_S: Final = 0.25
"""Seconds between two beats."""

LEASE_S: Final = 1.0
"""Seconds without growth of its beat after which an instance may be buried."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One run of a program.

    Attributes:
        slot: What it runs as, such as ``edge-1``; one instance at a time.
        incarnation: How often the slot was joined, from 1.
        fence: Number of this instance in the store, higher than any before it.
        address: Where others reach it; empty if they cannot.
    """

    slot: str
    incarnation: int
    fence: int
    address: str

    def fenced_off(self) -> FencedOffError:
        """Return what to raise when this instance, which was buried, wants to go on."""
        return FencedOffError(
            f"Incarnation {self.incarnation} of {self.slot} was buried.",
            metadata={"slot": self.slot, "fence": str(self.fence)},
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """An instance as another one sees it.

    Attributes:
        beat: Grows while it lives.
        load: Streams that it works on, as it says itself.
        leaving: It takes no new work.
    """

    instance: Instance
    beat: int
    load: int
    leaving: bool


class Ownership(abc.ABC):
    """Keeps instances and who holds what. Raises storage errors as ``EventLog`` does."""

    @abc.abstractmethod
    async def join(
        self, slot: str, address: str = "", *, after: Instance | None = None
    ) -> Instance:
        """Become the instance of ``slot``; the one before it is buried at once.

        Args:
            slot: What to run as.
            address: Where others reach it.
            after: What this process was in the slot before it was fenced off. Another process
                that has joined the slot since keeps it.

        Raises:
            FencedOffError: Another process lives in the slot since ``after``.
        """

    @abc.abstractmethod
    async def beat(self, instance: Instance, *, load: int = 0, leaving: bool = False) -> list[Peer]:
        """Show that ``instance`` lives and return all that are not buried, itself among them.

        Raises:
            FencedOffError: It was buried.
        """

    @abc.abstractmethod
    async def bury(self, peer: Peer) -> bool:
        """Declare ``peer`` dead; False if its beat has grown since it was seen, or it was
        buried already."""

    @abc.abstractmethod
    async def leave(self, instance: Instance) -> None:
        """Bury oneself: everything that is held may be claimed at once."""

    @abc.abstractmethod
    async def claim(self, stream: StreamKey, instance: Instance) -> bool:
        """Become the holder of a stream, which need not exist yet.

        Returns:
            True if ``instance`` holds it now. False if an instance that is not buried does
            (``holder`` says which) or ``instance`` itself is buried.
        """

    @abc.abstractmethod
    async def claim_orphans(
        self, kind: str, mark: str, instance: Instance, limit: int
    ) -> list[StreamKey]:
        """Claim up to ``limit`` streams of ``kind`` that carry ``mark`` and whose holder is
        buried or nobody; the ones unchanged for longest first."""

    @abc.abstractmethod
    async def holder(self, stream: StreamKey) -> Instance | None:
        """Return the instance that holds a stream and is not buried; None if there is none."""

    @abc.abstractmethod
    async def release(self, streams: Sequence[StreamKey], instance: Instance) -> None:
        """Hold streams no more; those that ``instance`` does not hold are left as they are."""
