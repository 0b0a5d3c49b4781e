"""The SQL that both stores understand, and what its rows say.

Written for Postgres; ``for_sqlite`` turns its parameters into SQLite's.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ensemble.eventlog import chain
from ensemble.eventlog.event_log import Event, Head, Snapshot, StreamKey

STREAM: Final = (
    "SELECT id, last_seq, chain, secret, base_seq, base FROM streams WHERE kind = $1 AND name = $2"
)
READ: Final = """
SELECT s.secret, CASE WHEN e.seq = s.base_seq + 1 THEN s.base END,
    e.seq, e.type, e.schema_version, e.created_at, e.payload, e.text, e.digest, e.link
FROM streams s JOIN events e ON e.stream = s.id
WHERE s.kind = $1 AND s.name = $2 AND e.seq >= $3 ORDER BY e.seq LIMIT $4
"""
CHAIN: Final = """
SELECT seq, type, schema_version, created_at, payload, text, digest, link FROM events
WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
SNAPSHOT: Final = """
SELECT s.secret, p.seq, p.payload, p.digest FROM snapshots p JOIN streams s ON s.id = p.stream
WHERE s.kind = $1 AND s.name = $2
"""
CONTENT: Final = (
    "SELECT position, seq, payload, text FROM events "
    "WHERE stream = $1 AND seq > $2 AND digest IS NULL ORDER BY seq LIMIT $3"
)
_HEAD: Final = (
    "SELECT kind, name, owner, mark, last_seq, position, created_at, updated_at, fence "
    "FROM streams WHERE kind = $1 AND last_seq > base_seq"
)
HEAD: Final = f"{_HEAD} AND name = $2"

JOIN: Final = """
INSERT INTO instances (slot, incarnation, address)
SELECT $1, 1 + coalesce(max(incarnation), 0), $2 FROM instances WHERE slot = $1
RETURNING slot, incarnation, fence, address
"""
BURY_SLOT: Final = "UPDATE instances SET buried = true WHERE slot = $1 AND NOT buried"
BURY: Final = (
    "UPDATE instances SET buried = true WHERE fence = $1 AND beat = $2 AND NOT buried "
    "RETURNING fence"
)
LEAVE: Final = "UPDATE instances SET buried = true WHERE fence = $1 AND NOT buried RETURNING fence"
HOLDER: Final = """
SELECT i.slot, i.incarnation, i.fence, i.address
FROM streams s JOIN instances i ON i.fence = s.fence
WHERE s.kind = $1 AND s.name = $2 AND NOT i.buried
"""


def for_sqlite(query: str) -> str:
    """Return ``query`` with its parameters as SQLite writes them."""
    return query.replace("$", "?")


def heads(
    kind: str, owner: str | None, mark: str | None, before: int | None, limit: int
) -> tuple[str, list[str | int]]:
    """Return the query of ``EventLog.heads`` and its values."""
    where = ""
    values: list[str | int] = [kind, limit]
    for condition, value in (("owner =", owner), ("mark =", mark), ("position <", before)):
        if value is not None:
            values.append(value)
            where += f" AND {condition} ${len(values)}"
    if mark:
        where += " AND mark <> ''"  # so that the partial index serves
    return f"{_HEAD}{where} ORDER BY position DESC LIMIT $2", values


def head(row: Iterable[Any]) -> Head:
    """Return what a row of ``HEAD`` or of ``heads`` says."""
    kind, name, *rest = row
    return Head(StreamKey(kind, name), *rest)


class ChainBrokenError(Exception):
    """The event at ``seq`` is not the one that was written."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"event {seq} is missing or was changed")
        self.seq = seq


def events(stream: StreamKey, after: int, limit: int, rows: Iterable[Sequence[Any]]) -> list[Event]:
    """Return what ``limit`` rows of ``READ`` say, without the event at ``after``.

    Each is checked against the chain: damage that the store does not notice must not be taken
    for what was said.

    Args:
        rows: One more than ``limit`` where ``after`` is not 0, from the event at ``after`` on.

    Raises:
        ChainBrokenError: An event was changed, or one is missing.
    """
    found: list[Event] = []
    check: chain.ChainCheck | None = None
    for secret, base, seq, type_, version, at, payload, text, erased, link in rows:
        if seq == after:
            check = chain.ChainCheck(secret, link, seq)
            continue
        if check is None:
            # The first event, or the first after those that a retention dropped.
            begins = (base or chain.START, seq - 1) if base is not None else (chain.START, 0)
            check = chain.ChainCheck(secret, *begins)
        if not check.follows(seq, type_, version, at, payload, text, erased, link):
            raise ChainBrokenError(check.next_seq)
        found.append(Event(stream, seq, type_, payload, version, at, text, erased is not None))
    return found[:limit]


def snapshot(rows: Iterable[Sequence[Any]]) -> Snapshot | None:
    """Return what rows of ``SNAPSHOT`` say. A damaged one counts as none: the events say the
    same."""
    for secret, seq, payload, stored in rows:
        if chain.digest(secret, seq, payload, "") == stored:
            return Snapshot(seq, payload)
    return None
