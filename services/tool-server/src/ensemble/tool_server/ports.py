"""What tools need of the world outside, and the shapes they speak of it in."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Clock = Callable[[], datetime]
"""Returns now, aware and in local time."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An entity of the world model: attribute values decoded, facts newest first.

    ``seen_at`` is when the newest attribute was recorded; None where there is none.
    """

    kind: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    sequence: int = 0
    removed: bool = False
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What to record of a thing; an attribute of None is removed."""

    kind: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Things in order of kind and name, as of the change ``sequence``."""

    things: tuple[Thing, ...]
    sequence: int


class World(Protocol):
    """The world model.

    Every method raises ``ServiceUnavailableError`` when it cannot be reached, and the
    catalogue's storage errors when it cannot write.
    """

    async def observe(self, request_id: str, seen: Sequence[Seen]) -> tuple[Thing, ...]:
        """Record all of ``seen`` at once and return the things whole, in the same order.

        A ``request_id`` that was recorded before changes nothing and returns what it did then.
        """
        ...

    async def find(
        self,
        kind: str,
        *,
        name: str = "",
        attributes: Mapping[str, Any] | None = None,
        text: str = "",
        limit: int = 100,
    ) -> Found:
        """Return at most ``limit`` things of ``kind`` with this name, these values, these words."""
        ...

    def browse(self, kind: str) -> AsyncGenerator[Thing, None]:
        """Yield all things of ``kind``, however many, in order of name."""
        ...

    async def erase(self, kinds: Sequence[str], attributes: Mapping[str, Any]) -> int:
        """Erase for good what the person being served had recorded of ``kinds``.

        With ``attributes`` only things that have, or had, these values. Returns how many
        things were erased, or something of them.
        """
        ...

    def watch(self, after: int) -> AsyncGenerator[Thing, None]:
        """Yield every change after the change ``after``, in order, each once, without end."""
        ...
