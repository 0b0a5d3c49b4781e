"""A stream on its way from one event to the next, the same on every store."""

from dataclasses import dataclass, field

from ensemble.core.errors import ConflictError, FencedOffError
from ensemble.eventlog import chain
from ensemble.eventlog.chain import Salt
from ensemble.eventlog.event_log import Append, Event, StreamKey

Row = tuple[int, int, str, int, int, bytes, str, bytes]
"""An event as the stores write it: id of the stream (0 where it has no row yet), ``seq``, type,
version, time, payload, text and link."""


def event(stream: StreamKey, row: Row) -> Event:
    """Return the event of ``stream`` that was written as ``row``."""
    _, seq, type_, schema_version, created_at, payload, text, _ = row
    return Event(stream, seq, type_, payload, schema_version, created_at, text)


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

    def take(self, item: Append, now: int, fence: int) -> Row:
        """Go on by the event that ``item`` makes, and return it; ``chain`` is its link.

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
        seq, at = last + 1, now if now > self.updated_at else self.updated_at
        type_, version, payload = item.type, item.schema_version, item.payload
        text = _storable(item.text) if item.text else ""
        content = (self.salt or self._salted()).digest(seq, payload, text)
        self.chain = link = chain.link(self.chain, seq, type_, version, at, content)
        self.last_seq, self.updated_at = seq, at
        return (self.id, seq, type_, version, at, payload, text, link)

    def seal(self, snapshot: bytes) -> bytes:
        """Return the digest by which a damaged snapshot of the present state is found."""
        return self._salted().digest(self.last_seq, snapshot, "")

    def _salted(self) -> Salt:
        if self.salt is None:
            self.secret = self.secret or chain.new_secret()
            self.salt = Salt(self.secret)
        return self.salt


def _storable(text: str) -> str:
    """Return ``text`` without what Postgres or UTF-8 cannot hold."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
