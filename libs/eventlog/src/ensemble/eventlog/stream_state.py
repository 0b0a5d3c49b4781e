"""A stream on its way from one event to the next, the same on every store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ensemble.core.errors import ConflictError, FencedOffError
from ensemble.eventlog import chain, segments
from ensemble.eventlog.chain import Salt
from ensemble.eventlog.event_log import Append, Event, StreamKey
from ensemble.eventlog.segments import Kind

Place = tuple[int, int]
"""Where an event was appended: ``seq`` and time in nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Events of a stream that become one row.

    Attributes:
        seq: Of the last event.
        kinds: Types and versions of the events.
        payload, text: See ``ensemble.eventlog.segments``.
        trail: Events after the one that has the text.
        link: What is kept of it.
    """

    seq: int
    kinds: tuple[Kind, ...]
    created_at: int
    payload: bytes
    text: str
    trail: int
    link: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """The events that one append made, in order."""

    batch: Sequence[Append]
    places: Sequence[Place]

    @property
    def seqs(self) -> list[int]:
        """Their positions in their streams."""
        return [seq for seq, _ in self.places]

    def of(self, stream: StreamKey) -> Iterator[Event]:
        """Yield those of one stream."""
        for item, (seq, at) in zip(self.batch, self.places, strict=True):
            if item.stream == stream:
                text = _storable(item.text)
                yield Event(stream, seq, item.type, item.payload, item.schema_version, at, text)


@dataclass(slots=True)
class StreamState:
    """A stream as the store has it, or will have it; ``id`` is 0 where it has no row yet."""

    id: int
    last_seq: int
    updated_at: int
    fence: int
    chain: bytes
    secret: bytes
    salt: Salt | None = field(default=None, kw_only=True, compare=False, repr=False)
    _open: list[Append] = field(default_factory=list, kw_only=True, compare=False, repr=False)

    def copy(self) -> "StreamState":
        """Return one that can go on by itself."""
        return StreamState(
            self.id,
            self.last_seq,
            self.updated_at,
            self.fence,
            self.chain,
            self.secret,
            salt=self.salt,
        )

    def take(self, item: Append, now: int, fence: int) -> Place:
        """Go on by the event that ``item`` makes; ``segments`` gives the rows.

        Args:
            now: Nanoseconds since the epoch; a clock that went back does not turn time round.
            fence: Of the instance that writes.

        Raises:
            ConflictError: The stream's last event is not the expected one.
            FencedOffError: The stream belongs to another fence.
        """
        if self.fence and self.fence != fence:
            raise FencedOffError(
                f"The stream is held under fence {self.fence}, not {fence}.",
                metadata={"fence": str(fence), "holder": str(self.fence)},
            )
        last = self.last_seq
        if item.expected_seq is not None and item.expected_seq != last:
            raise ConflictError(
                f"The stream stands at {last}, not at {item.expected_seq}.",
                metadata={"expected": str(item.expected_seq), "found": str(last)},
            )
        self._open.append(item)
        self.last_seq = seq = last + 1
        if now > self.updated_at:
            self.updated_at = now
        return seq, self.updated_at

    def segments(self) -> list[Segment]:
        """Return the events that were taken since the last time; ``chain`` is their last link.

        Call it at the end of an append, whose events all have the same time.
        """
        items, self._open = self._open, []
        seq = self.last_seq - len(items)
        made = []
        for some in _split(items):
            seq += len(some)
            made.append(self._segment(some, seq))
        return made

    def _segment(self, items: Sequence[Append], seq: int) -> Segment:
        text, trail = "", 0
        for place, item in enumerate(items, 1):
            if item.text:
                text, trail = _storable(item.text), len(items) - place
        kinds = tuple([(item.type, item.schema_version) for item in items])
        payload = segments.pack([item.payload for item in items])
        content = (self.salt or self._salted()).digest(seq, payload, text)
        at = self.updated_at
        previous = self.chain[: chain.KEPT]
        self.chain = link = chain.link(previous, seq, kinds, at, trail, content)
        return Segment(seq, kinds, at, payload, text, trail, link[: chain.KEPT])

    def seal(self, snapshot: bytes) -> bytes:
        """Return the digest by which a damaged snapshot of the present state is found."""
        return self._salted().digest(self.last_seq, snapshot, "")

    def _salted(self) -> Salt:
        if self.salt is None:
            self.secret = self.secret or chain.new_secret()
            self.salt = Salt(self.secret)
        return self.salt


def _split(items: Sequence[Append]) -> Iterator[Sequence[Append]]:
    """Cut events of one append into what segments may hold."""
    begin = size = 0
    said = False
    for place, item in enumerate(items):
        if (said and item.text) or size >= segments.BYTES or place - begin == segments.EVENTS:
            yield items[begin:place]
            begin, size, said = place, 0, False
        size += len(item.payload)
        said = said or bool(item.text)
    if begin < len(items):
        yield items[begin:]


def _storable(text: str) -> str:
    """Return ``text`` without what Postgres or UTF-8 cannot hold."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
