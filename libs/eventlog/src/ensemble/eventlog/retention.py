"""What a transaction of a retention asks and writes, the same on both stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ensemble.eventlog.chain import START, ChainCheck
from ensemble.eventlog.segments import Kind
from ensemble.eventlog.stored_event_log import DROP_PAGE, DroppedPage, OldStreams

_OLD: Final = "kind = $1 AND mark = '' AND base_seq < last_seq AND updated_at < $2"

LAST_ID: Final = "SELECT coalesce(max(id), 0) FROM streams"
DELETE_SEGMENTS: Final = "DELETE FROM segments WHERE stream = $1 AND seq <= $2"
MOVE_BASE: Final = "UPDATE streams SET base_seq = $2, base = $3 WHERE id = $1"
FORGET: Final = (
    "DELETE FROM snapshots WHERE stream = $1",
    "DELETE FROM executions WHERE stream = $1",
)
"""What goes with the last page of the stream with the id $1."""
ANONYMISE: Final = "UPDATE streams SET owner = '', secret = $2 WHERE id = $1"
"""The same; $2 is empty."""


def find(which: OldStreams) -> str:
    """Return the query for the names among the ids from $3 + 1 to $4."""
    return (
        f"SELECT name FROM streams WHERE {_condition(which)} "  # noqa: S608 - made of constants
        "AND id > $3 AND id <= $4 ORDER BY id"
    )


def look(which: OldStreams) -> str:
    """Return the query for how the stream with the name $3 stands, if it is still old."""
    return (
        "SELECT id, last_seq, chain, secret, base_seq, base FROM streams "  # noqa: S608
        f"WHERE {_condition(which)} AND name = $3"
    )


def _condition(which: OldStreams) -> str:
    return f"{_OLD} AND length(secret) = 0" if which.erased else _OLD


@dataclass(frozen=True, slots=True)
class Page:
    """The first segments of a stream that is old.

    Attributes:
        id: Of the stream.
        until: The last event that may be dropped.
        link: Of its segment.
        ends: It is the last of the stream.
        dropped: What to report.
    """

    id: int
    until: int
    link: bytes
    ends: bool
    dropped: DroppedPage


def page(kinds: Mapping[int, Kind], stream: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Page:
    """Check the chain of a page and return how much of it may be dropped: all or nothing.

    Args:
        kinds: What the codes of event types mean.
        stream: Row of ``look``.
        rows: Rows of ``queries.CHAIN`` after the stream's ``base_seq``.
    """
    id_, last_seq, end, secret, base_seq, base = stream
    check = ChainCheck(kinds, secret, base or START, base_seq)
    until = base_seq
    sound = True
    for row in rows:
        if not (sound := check.follows(*row)):
            break
        until = row[0]
    link = check.link
    ends = sound and until == last_seq and link == end
    if (sound and len(rows) == DROP_PAGE and until < last_seq) or ends:
        return Page(id_, until, link, ends, DroppedPage(until - base_seq, done=ends))
    return Page(id_, base_seq, base, False, DroppedPage(damaged=True))
