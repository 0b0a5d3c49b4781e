"""What the world model needs of its store."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ensemble.world_model.entities import Changes, Erased, Observation, Page, Recorded, Wanted


class WorldStore(Protocol):
    """Keeps entities and every change of them.

    Every method raises ``StorageFullError``, ``StorageUnavailableError`` or
    ``StorageCorruptError`` when the medium fails.
    """

    async def observe(
        self, request_id: str, observations: Sequence[Observation], principal: str = ""
    ) -> Recorded:
        """Record all of ``observations`` for ``principal``, or none; durable when it returns.

        A ``request_id`` that was recorded before (and is not empty) changes nothing and
        returns what it returned then.

        Raises:
            InvalidArgumentError: A value is not JSON, or a limit of an entity is passed.
        """
        ...

    async def query(self, wanted: Wanted) -> Page:
        """Return the entities that match, ``wanted.limit`` of them at most.

        Raises:
            InvalidArgumentError: The page token is not one of ours, or a value is not JSON.
        """
        ...

    async def changes(self, after: int, kind: str, limit: int) -> Changes:
        """Return the next changes after ``after`` of ``kind`` (any when empty)."""
        ...

    async def head(self) -> int:
        """Return the sequence of the last change, 0 when there was none."""
        ...

    async def wait(self, after: int, timeout: float) -> bool:
        """Wait until there are changes after ``after``; False when ``timeout`` passed first."""
        ...

    async def erase(
        self, principal: str, kinds: Sequence[str], attributes_json: Mapping[str, str]
    ) -> Erased:
        """Erase for good what was recorded for ``principal``, history included.

        An entity of ``kinds`` that nobody else recorded goes whole, name included; of one that
        somebody else recorded too, this person's values and facts go. Each gets a change. Of
        entities of other kinds only goes who recorded them. With ``attributes_json`` only
        entities are touched that have, or had, exactly these values.

        Raises:
            InvalidArgumentError: A value is not JSON.
        """
        ...

    async def forget_removed(self, before: int) -> int:
        """Forget entities that were removed before ``before``, and all that was known of them.

        Their changes are not told to watchers any more, and a request that recorded one of
        them is not known any more. Returns how many.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the medium."""
        ...
