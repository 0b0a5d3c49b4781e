"""The port: streams of events that are only ever appended to."""

import abc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamKey:
    """Names one stream: its kind, such as ``session``, and an id unique within it."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Append:
    """One event to be written.

    Attributes:
        stream: Where it goes; the first append makes the stream.
        type: What the payload is, such as ``response_done``.
        payload: The event itself; the log never looks into it.
        schema_version: Version of the payload's shape.
        expected_seq: Refuse the batch unless the stream's last ``seq`` is this one
            (0: the stream must be new). None accepts any.
        owner: Whose stream it is; only heeded when the append makes the stream.
        mark: New mark of the stream, such as ``open``, by which it can be found; None
            leaves the mark as it is.
    """

    stream: StreamKey
    type: str
    payload: bytes
    schema_version: int = 1
    expected_seq: int | None = None
    owner: str = ""
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it stands in the log.

    Attributes:
        seq: Position in its stream, from 1, without gaps.
        created_at: When it was appended, in nanoseconds since the epoch.
    """

    stream: StreamKey
    seq: int
    type: str
    payload: bytes
    schema_version: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Head:
    """A stream from outside.

    Attributes:
        last_seq: Its last event.
        position: Position of that event in the whole log: grows with every append.
        created_at, updated_at: Nanoseconds since the epoch of the first and last event.
    """

    stream: StreamKey
    owner: str
    mark: str
    last_seq: int
    position: int
    created_at: int
    updated_at: int


class EventLog(abc.ABC):
    """Keeps streams. What ``append`` returned from is durable, in the order it was given.

    Every method raises ``StorageUnavailableError`` when the store cannot be used,
    ``StorageCorruptError`` when it is damaged, and ``append`` ``StorageFullError`` when it
    cannot grow; the log works again by itself once the cause is gone.
    """

    @abc.abstractmethod
    async def append(self, batch: Sequence[Append]) -> list[int]:
        """Write all of ``batch``, or none of it, and return each event's ``seq``.

        Raises:
            ConflictError: A stream's last event is not the expected one.
        """

    @abc.abstractmethod
    async def read(self, stream: StreamKey, after: int = 0, limit: int = 256) -> list[Event]:
        """Return up to ``limit`` events with ``seq`` > ``after``, in order."""

    @abc.abstractmethod
    def tail(self, stream: StreamKey, after: int = 0) -> AsyncIterator[Event]:
        """Yield every event with ``seq`` > ``after``, then follow live: no gap, no duplicate.

        A slow reader costs no memory: what it has not taken stays in the store. Ends when
        the log is closed.
        """

    @abc.abstractmethod
    async def head(self, stream: StreamKey) -> Head | None:
        """Return the stream's head; None if nothing was ever appended to it."""

    @abc.abstractmethod
    async def heads(
        self,
        kind: str,
        *,
        owner: str | None = None,
        mark: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Head]:
        """Return streams of ``kind``, the one that changed last first.

        Args:
            owner: Only this owner's; None for all.
            mark: Only those that carry this mark; None for all.
            before: Only those whose ``position`` is lower: the last one of the page before.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Finish every append that was accepted, then free everything."""
