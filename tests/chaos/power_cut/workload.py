"""What the writers append, known in advance byte for byte."""

import random
from dataclasses import dataclass

from ensemble.eventlog import Append, StreamKey

KIND = "power-cut"
SHARED = StreamKey(KIND, "shared")
"""Gets one event of every batch."""

_SIZES = (0, 20, 200, 3000, 9000)


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch ``number`` (from 1) of a stream, whose first event is ``first``.

    Attributes:
        events: Events of the stream itself, in order; the last brings a snapshot.
        shared: The event for ``SHARED``.
    """

    number: int
    first: int
    events: tuple[Append, ...]
    shared: Append

    @property
    def appends(self) -> tuple[Append, ...]:
        """All that is appended at once."""
        return (*self.events, self.shared)

    @property
    def last(self) -> int:
        """``seq`` of the last event."""
        return self.first + len(self.events) - 1


def batch(stream: str, number: int, first: int) -> Batch:
    """Return a batch; always the same one for the same arguments."""
    dice = random.Random(f"{stream}:{number}")
    count = dice.randint(1, 3)
    events = tuple(
        Append(
            StreamKey(KIND, stream),
            dice.choice(("segment", "usage", "state")),
            f"{stream}:{number}:{index}:".encode() + dice.randbytes(dice.choice(_SIZES)),
            text=dice.randbytes(dice.choice(_SIZES) // 20).hex(),
            schema_version=dice.randint(1, 3),
            expected_seq=first - 1 + index,
            mark=dice.choice((None, "open", "")),
            snapshot=snapshot(stream, number) if index == count - 1 else None,
        )
        for index in range(count)
    )
    shared = Append(SHARED, "batch", f"{stream}:{number}".encode())
    return Batch(number, first, events, shared)


def snapshot(stream: str, number: int) -> bytes:
    """Return the snapshot that a batch leaves."""
    return f"state of {stream} after {number}".encode()
