"""The SQL that both stores understand, and what its rows say.

Written for Postgres; ``for_sqlite`` turns its parameters into SQLite's.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ensemble.eventlog import chain, segments
from ensemble.eventlog.event_log import Event, Head, Snapshot, StreamKey
from ensemble.eventlog.segments import Kind

ERA_BITS: Final = 14
"""An era is so many bits of a position: the streams of one era are sorted to be listed, and a
stream that grows is listed anew once in an era."""

STREAM: Final = (
    "SELECT id, last_seq, chain, secret, base_seq, base FROM streams WHERE kind = $1 AND name = $2"
)
READ: Final = """
WITH t AS MATERIALIZED (
    SELECT id, secret, base_seq, base,
        CASE WHEN base_seq > $3 THEN base_seq ELSE $3 END AS after
    FROM streams WHERE kind = $1 AND name = $2
), s AS MATERIALIZED (
    SELECT t.*,
        coalesce((SELECT max(e.seq) FROM segments e WHERE e.stream = t.id
            AND e.seq <= t.after), 0) AS first,
        coalesce((SELECT min(e.seq) FROM segments e WHERE e.stream = t.id
            AND e.seq >= t.after + $4), t.after + $4) AS last
    FROM t
)
SELECT s.secret, s.base_seq, s.base,
    e.seq, e.types, e.created_at, e.payload, e.text, e.trail, nullif(e.digest, '') AS digest,
    e.link
FROM s JOIN segments e ON e.stream = s.id AND e.seq >= s.first AND e.seq <= s.last
ORDER BY e.seq
"""
"""The segments with $4 events after $3, and the segment before them."""
CHAIN: Final = """
SELECT seq, types, created_at, payload, text, trail, nullif(digest, '') AS digest, link
FROM segments
WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""
KINDS: Final = "SELECT id, name, version FROM types"
SNAPSHOT: Final = """
SELECT s.secret, p.seq, p.payload, p.digest FROM snapshots p JOIN streams s ON s.id = p.stream
WHERE s.kind = $1 AND s.name = $2
"""
CONTENT: Final = (
    "SELECT position, seq, types, payload, text FROM segments "
    "WHERE stream = $1 AND seq > $2 AND nullif(digest, '') IS NULL ORDER BY seq LIMIT $3"
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
    kind: str,
    owner: str | None,
    mark: str | None,
    before: int | None,
    limit: int,
    *,
    eras: bool = False,
) -> tuple[str, list[str | int]]:
    """Return the query of ``EventLog.heads`` and its values.

    Args:
        eras: The indexes have the era of a position instead of the position.
    """
    where, newest = "", "position DESC"
    values: list[str | int] = [kind, limit]
    for condition, value in (("owner =", owner), ("mark =", mark), ("position <", before)):
        if value is not None:
            values.append(value)
            where += f" AND {condition} ${len(values)}"
    if eras:
        newest = f"era DESC, {newest}"
        if before is not None:
            where += f" AND era <= (${len(values)} >> {ERA_BITS})"
    if mark:
        where += " AND mark <> ''"  # so that the partial index serves
    return f"{_HEAD}{where} ORDER BY {newest} LIMIT $2", values


def head(row: Iterable[Any]) -> Head:
    """Return what a row of ``HEAD`` or of ``heads`` says."""
    kind, name, *rest = row
    return Head(StreamKey(kind, name), *rest)


class ChainBrokenError(Exception):
    """The event at ``seq``, or one that was appended with it, is not the one that was written."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"event {seq} is missing or was changed")
        self.seq = seq


def kinds(rows: Iterable[Sequence[Any]]) -> dict[int, Kind]:
    """Return what rows of ``KINDS`` say."""
    return {code: (name, version) for code, name, version in rows}


def need(known: Mapping[int, Kind], rows: Iterable[Sequence[Any]]) -> bool:
    """Whether rows of ``READ`` have types that are not known yet."""
    return any(segments.unknown(row[4], known) for row in rows)


def events(
    stream: StreamKey,
    after: int,
    limit: int,
    known: Mapping[int, Kind],
    rows: Iterable[Sequence[Any]],
) -> list[Event]:
    """Return the ``limit`` events after ``after`` that rows of ``READ`` say.

    Each segment is checked against the chain: damage that the store does not notice must not be
    taken for what was said.

    Args:
        known: What the codes of event types mean.

    Raises:
        ChainBrokenError: An event was changed, or one is missing.
    """
    found: list[Event] = []
    check: chain.ChainCheck | None = None
    for secret, base_seq, base, *row in rows:
        seq, types, at, payload, text, trail, erased, link = row
        if check is None:
            if seq <= after:
                check = chain.ChainCheck(known, secret, link, seq)
                continue
            # The first event, or the first after those that a retention dropped.
            check = chain.ChainCheck(known, secret, base or chain.START, base_seq)
        first = check.next_seq
        if not check.follows(*row):
            raise ChainBrokenError(first)
        of = segments.kinds_of(types, known)
        try:
            payloads = [b""] * len(of) if erased is not None else segments.unpack(payload, len(of))
        except segments.NoSegmentError as exc:
            raise ChainBrokenError(first) from exc
        for place, ((name, version), each) in enumerate(zip(of, payloads, strict=True), first):
            if place > after and len(found) < limit:
                words = text if place + trail == seq else ""
                found.append(
                    Event(stream, place, name, each, version, at, words, erased is not None)
                )
    return found


def snapshot(rows: Iterable[Sequence[Any]]) -> Snapshot | None:
    """Return what rows of ``SNAPSHOT`` say. A damaged one counts as none: the events say the
    same."""
    for secret, seq, payload, stored in rows:
        if chain.digest(secret, seq, payload, "") == stored:
            return Snapshot(seq, payload)
    return None
