"""The port: streams of events that are only ever appended to."""

import abc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ensemble.core.errors import InvalidArgumentError

_NANOS: Final = 1_000_000_000
_INT32: Final = range(2**31)
_INT64: Final = range(-(2**63), 2**63)


def _check_words(**fields: str) -> None:
    """Refuse what one of the stores cannot keep."""
    for name, value in fields.items():
        if "\0" in value or not (value.isascii() or _is_unicode(value)):
            raise InvalidArgumentError(
                f"{name} has a zero character, or half of a character.",
                violations={name: "no zero characters, no lone surrogates"},
            )


def _is_plain(words: str) -> bool:
    """Nothing is wrong with them: asked first, as it is cheap and nearly always so."""
    return words.isascii() and "\0" not in words


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class StreamKey:
    """Names one stream: its kind, such as ``session``, and an id unique within it.

    Raises:
        InvalidArgumentError: A zero character or a lone surrogate is in it.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        if not _is_plain(self.kind + self.name):
            _check_words(kind=self.kind, name=self.name)


@dataclass(frozen=True, slots=True)
class Execution:
    """One piece of work, such as a response, as the view ``agent_executions`` shows it.

    An append that carries one makes its row, or replaces it: once when the work begins and
    once when it ends.

    Attributes:
        id: Unique in the log.
        agent: Who did it, such as ``assistant``.
        model: Which model; empty where none took part.
        status: ``running``, ``completed``, ``interrupted`` or ``failed``.
        latency_ms: From its start to its end; 0 while it runs.
        cost_usd: Price in US dollars.

    Raises:
        InvalidArgumentError: A number is too large for the store, or not finite; or words are
            as in ``StreamKey``.
    """

    id: str
    agent: str = ""
    model: str = ""
    status: str = "running"
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: int = 0
    cost_usd: Decimal = field(default_factory=Decimal)

    def __post_init__(self) -> None:
        _check_words(id=self.id, agent=self.agent, model=self.model, status=self.status)
        numbers = (self.input_tokens, self.output_tokens, self.latency_ms)
        if (
            not all(number in _INT64 for number in numbers)
            or not self.cost_usd.is_finite()
            or self.cost_nanos not in _INT64
        ):
            raise InvalidArgumentError("A number of the execution is too large.")

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self.status == "running"

    @property
    def cost_nanos(self) -> int:
        """Price in billionths of a US dollar."""
        return int(self.cost_usd * _NANOS)


@dataclass(frozen=True, slots=True)
class Append:
    """One event to be written.

    Attributes:
        stream: Where it goes; the first append makes the stream.
        type: What the payload is, such as ``response_done``.
        payload: The event itself; the log never looks into it.
        text: Words of the event that SQL shall see, kept beside the payload instead of in it.
            Characters that a store cannot keep are replaced by U+FFFD.
        schema_version: Version of the payload's shape.
        expected_seq: Refuse the batch unless the stream's last ``seq`` is this one
            (0: the stream must be new). None accepts any.
        owner: Whose stream it is; only heeded when the append makes the stream.
        mark: New mark of the stream, such as ``open``, by which it can be found; None
            leaves the mark as it is.
        own: The stream that this append makes belongs to the writer's ``fence``: nobody else
            may append to it, until it is claimed.
        execution: Work that begins or ends with this event.
        snapshot: State of the stream including this event; replaces the one before.

    Raises:
        InvalidArgumentError: The version is no number of 31 bits, or words other than ``text``
            are as in ``StreamKey``.
    """

    stream: StreamKey
    type: str
    payload: bytes
    text: str = ""
    schema_version: int = 1
    expected_seq: int | None = None
    owner: str = ""
    mark: str | None = None
    own: bool = False
    execution: Execution | None = None
    snapshot: bytes | None = None

    def __post_init__(self) -> None:
        mark = self.mark or ""
        if not _is_plain(self.type + self.owner + mark):
            _check_words(type=self.type, owner=self.owner, mark=mark)
        if self.schema_version not in _INT32:
            raise InvalidArgumentError(f"{self.schema_version} is no version.")


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it stands in the log.

    Attributes:
        seq: Position in its stream, from 1, without gaps.
        created_at: When it was appended, in nanoseconds since the epoch; never before the
            event before it in its stream, whatever the clock did.
        erased: Its payload and text are gone; both are empty.
    """

    stream: StreamKey
    seq: int
    type: str
    payload: bytes
    schema_version: int
    created_at: int
    text: str = ""
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A stream from outside.

    Attributes:
        last_seq: Its last event.
        position: Grows with every append to the log: orders streams by their last change.
        created_at, updated_at: Nanoseconds since the epoch of the first and last event.
        fence: Fence of the instance that holds it; 0 for nobody.
    """

    stream: StreamKey
    owner: str
    mark: str
    last_seq: int
    position: int
    created_at: int
    updated_at: int
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a stream after event ``seq``."""

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Glance:
    """A stream as far as one look at it goes.

    Attributes:
        snapshot: The newest one; None where there is none.
        events: The first ones; only the very first where there is a snapshot, which tells
            whoever made it where to read on.
    """

    head: Head
    snapshot: Snapshot | None
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Audit:
    """What a check of one stream's hash chain found.

    Attributes:
        events: Events that were checked.
        erased: Of them, events whose content was erased.
        first_bad_seq: First event that is missing, was changed or does not follow from the
            one before; 0 where all do.
        chain_head: SHA-256 at the end of the chain.
        dropped: Events that a retention took away, before the first that was checked.
    """

    events: int
    erased: int
    first_bad_seq: int
    chain_head: bytes
    dropped: int = 0

    @property
    def intact(self) -> bool:
        """Everything is there and nothing was changed."""
        return self.first_bad_seq == 0


@dataclass(frozen=True, slots=True)
class Erased:
    """How much an erasure took away."""

    streams: int
    events: int


class EventLog(abc.ABC):
    """Keeps streams. What ``append`` returned from is durable, in the order it was given.

    Every method raises ``StorageUnavailableError`` when the store cannot be used,
    ``StorageCorruptError`` when it is damaged, and ``append`` ``StorageFullError`` when it
    cannot grow; the log works again by itself once the cause is gone.
    """

    @abc.abstractmethod
    async def append(self, batch: Sequence[Append], *, fence: int = 0, at: int = 0) -> list[int]:
        """Write all of ``batch``, or none of it, and return each event's ``seq``.

        Args:
            batch: What to write, in order; of any number of streams.
            fence: Fence of the instance that writes (``Instance.fence``).
            at: Its ``created_at``, in nanoseconds since the epoch; 0 for the log's own clock.

        Raises:
            ConflictError: A stream's last event is not the expected one.
            FencedOffError: A stream of the batch belongs to another fence.
        """

    @abc.abstractmethod
    async def read(self, stream: StreamKey, after: int = 0, limit: int = 256) -> list[Event]:
        """Return up to ``limit`` events with ``seq`` > ``after``, in order, in the newest
        versions of their types (``ensemble.eventlog.upcasters``).

        Raises:
            EventTooNewError: One of them is of a version that this program does not know.
        """

    @abc.abstractmethod
    def tail(self, stream: StreamKey, after: int = 0) -> AsyncIterator[Event]:
        """Yield every event with ``seq`` > ``after``, then follow live: no gap, no duplicate.

        A slow reader costs no memory: what it has not taken stays in the store. Ends when
        the log is closed. Events of other processes come as well where the store is shared.
        """

    @abc.abstractmethod
    async def head(self, stream: StreamKey) -> Head | None:
        """Return the stream's head; None if it has no event."""

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
    async def snapshot(self, stream: StreamKey) -> Snapshot | None:
        """Return the newest snapshot of a stream; None where there is none."""

    async def glance(self, streams: Sequence[StreamKey], limit: int = 256) -> list[Glance | None]:
        """Look at many streams in few trips to the store; None for one that has no event.

        Args:
            limit: Events of each at most.

        Raises:
            EventTooNewError: As ``read``.
        """
        return [await self._glance_at(stream, limit) for stream in streams]

    async def _glance_at(self, stream: StreamKey, limit: int) -> Glance | None:
        head = await self.head(stream)
        if head is None:
            return None
        snapshot = await self.snapshot(stream)
        return Glance(head, snapshot, await self.read(stream, 0, 1 if snapshot else limit))

    @abc.abstractmethod
    async def audit(self, stream: StreamKey) -> Audit:
        """Check the hash chain of a stream from its first event to its last.

        Events that were appended together share a link, ``sha256(previous link, position, types,
        versions, time, digest)``, and are found to be damaged together; the digest is an HMAC of
        their content under a secret of the stream, so that nothing can be learned from it once
        content and secret are erased, and the chain still verifies.
        """

    @abc.abstractmethod
    async def erase(self, streams: Sequence[StreamKey]) -> Erased:
        """Erase the content of streams for good: payloads, texts, snapshots, owners, secrets.

        Their events remain as empty places in the chain. What is appended later is chained
        under a new secret.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Finish every append that was accepted, then free everything."""
