"""The rows of a log as records that mean the same in every store.

A record is a table and its columns in the order of ``TABLES``. The types of events come first, then
stream by stream, in the order of their ids: the stream itself, its segments by ``seq``, its
snapshot, its executions. The instances follow, so that no fence is ever given a second time;
restored, they are dead.
"""

import hashlib
import json
import struct
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, Final

from ensemble.eventlog import segments
from ensemble.eventlog.chain import START, ChainCheck
from ensemble.eventlog.event_log import StreamKey
from ensemble.eventlog.segments import Kind

Row = tuple[Any, ...]
Record = tuple[str, Row]
Batch = list[Record]

Fetch = Callable[..., Awaitable[Sequence[Sequence[Any]]]]
"""Returns the rows of a query, all from the same sight of the store."""

PAGE: Final = 500
"""Rows that are read, written and held at once."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        columns: By name; those of a stream begin with its id, those in ``binary`` are bytes.
        key: What its rows are read in the order of.
        shown: Expressions that give columns which not every store keeps in the same way.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    binary: frozenset[str] = frozenset()
    shown: Mapping[str, str] = field(default_factory=dict)

    def query(self, name: str) -> str:
        """Return the query for a page of rows after a key; the limit is the last value."""
        key = ", ".join(self.key)
        after = ", ".join(f"${n}" for n in range(1, len(self.key) + 1))
        columns = ", ".join(self.shown.get(column, column) for column in self.columns)
        return (
            f"SELECT {columns} FROM {name} "  # noqa: S608 - made of constants
            f"WHERE ({key}) > ({after}) ORDER BY {key} LIMIT ${len(self.key) + 1}"
        )


TABLES: Final = {
    "types": Table(("id", "name", "version"), ("id",)),
    "streams": Table(
        (
            "id", "kind", "name", "owner", "mark", "last_seq", "position", "created_at",
            "updated_at", "fence", "chain", "secret", "base_seq", "base",
        ),
        ("id",),
        frozenset({"chain", "secret", "base"}),
    ),
    "segments": Table(
        (
            "stream", "seq", "position", "types", "created_at", "payload", "text", "trail",
            "digest", "link",
        ),
        ("stream", "seq"),
        frozenset({"types", "payload", "digest", "link"}),
        {"digest": "nullif(digest, '')"},
    ),
    "snapshots": Table(
        ("stream", "seq", "payload", "digest"), ("stream",), frozenset({"payload", "digest"})
    ),
    "executions": Table(
        (
            "stream", "seq_from", "id", "seq_to", "agent", "model", "status", "input_tokens",
            "output_tokens", "latency_ms", "cost_nanos", "started_at", "ended_at",
        ),
        ("stream", "seq_from", "id"),
    ),
    "instances": Table(("fence", "slot", "incarnation", "address"), ("fence",)),
}  # fmt: skip

TOTALS: Final = (
    "SELECT count(*), CAST(coalesce(sum(last_seq - base_seq), 0) AS bigint) FROM streams"
)
"""How many streams and events there are."""

IS_EMPTY: Final = (
    "SELECT NOT EXISTS (SELECT 1 FROM streams) AND NOT EXISTS (SELECT 1 FROM instances) "
    "AND NOT EXISTS (SELECT 1 FROM types)"
)

_BINARY: Final = {
    name: [column in table.binary for column in table.columns] for name, table in TABLES.items()
}
_FIRST_KEYS: Final[dict[str, tuple[int | str, ...]]] = {
    "executions": (0, 0, ""),
    "segments": (0, 0),
}


class DamagedRecordError(Exception):
    """A line is not a record, or not one that may stand in its place."""


def encode(record: Record) -> bytes:
    """Return a record as a line: JSON, bytes in base64."""
    table, row = record
    values = [
        b64encode(value).decode() if binary and value is not None else value
        for binary, value in zip(_BINARY[table], row, strict=True)
    ]
    return json.dumps([table, *values], separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Record:
    """Return the record that ``encode`` made ``line`` of; raises ``DamagedRecordError``."""
    try:
        table, *values = json.loads(line)
        row = tuple(
            b64decode(value, validate=True) if binary and value is not None else value
            for binary, value in zip(_BINARY[table], values, strict=True)
        )
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise DamagedRecordError from exc
    return table, row


class _Pages:
    """The rows of a table in the order of its key."""

    def __init__(self, fetch: Fetch, name: str) -> None:
        self._fetch = fetch
        self._table = TABLES[name]
        self._name = name
        self._query = self._table.query(name)
        self._after = _FIRST_KEYS.get(name, (0,))
        self._places = [self._table.columns.index(column) for column in self._table.key]
        self._rows: deque[Row] = deque()
        self._ended = False

    async def _fill(self) -> bool:
        if not self._rows and not self._ended:
            page = await self._fetch(self._query, *self._after, PAGE)
            self._rows.extend(tuple(row) for row in page)
            self._ended = len(page) < PAGE
            if page:
                self._after = tuple(page[-1][place] for place in self._places)
        return bool(self._rows)

    async def all(self) -> AsyncIterator[Batch]:
        """Yield the rows, a page at a time."""
        while await self._fill():
            page = [(self._name, row) for row in self._rows]
            self._rows.clear()
            yield page

    async def of(self, stream: int) -> AsyncIterator[Batch]:
        """Yield the rows of a stream; streams are asked for in the order of their ids."""
        while await self._fill() and self._rows[0][0] <= stream:
            page: Batch = []
            while self._rows and self._rows[0][0] <= stream:
                page.append((self._name, self._rows.popleft()))
            yield page


async def export(fetch: Fetch) -> AsyncGenerator[Batch, None]:
    """Yield every record of a store."""
    async for types in _Pages(fetch, "types").all():
        yield types
    parts = [_Pages(fetch, name) for name in ("segments", "snapshots", "executions")]
    batch: Batch = []
    async for streams in _Pages(fetch, "streams").all():
        for stream in streams:
            batch.append(stream)
            for part in parts:
                async for page in part.of(stream[1][0]):
                    batch += page
                    if len(batch) >= PAGE:
                        yield batch
                        batch = []
    if batch:
        yield batch
    async for instances in _Pages(fetch, "instances").all():
        yield instances


async def digest_of(fetch: Fetch) -> bytes:
    """Return the SHA-256 of the records of a store as lines."""
    found = hashlib.sha256()
    async for batch in export(fetch):
        for record in batch:
            found.update(encode(record))
    return found.digest()


class Sums:
    """Goes along with records and says in the end what they were.

    Attributes:
        streams, events: How many there were.
        damaged: Streams whose chain is broken.
    """

    def __init__(self) -> None:
        self.streams = 0
        self.events = 0
        self.damaged: list[StreamKey] = []
        self._kinds: dict[int, Kind] = {}
        self._stream: Row = ()
        self._check: ChainCheck | None = None
        self._sound = True
        self._hash = hashlib.sha256()

    def add(self, batch: Batch) -> Iterator[bytes]:
        """Take the next records; yield their lines.

        Raises:
            DamagedRecordError: A record has no stream in front of it.
        """
        for table, row in batch:
            line = encode((table, row))
            self._hash.update(line)
            yield line
            try:
                self._take(table, row)
            except (struct.error, TypeError, AttributeError, ValueError) as exc:
                raise DamagedRecordError from exc

    def _take(self, table: str, row: Row) -> None:
        if table == "types":
            code, name, version = row
            self._kinds[code] = (name, version)
        elif table == "streams":
            self.end_stream()
            self.streams += 1
            self._stream, self._sound = row, True
            *_, secret, base_seq, base = row
            self._check = ChainCheck(self._kinds, secret, base or START, base_seq)
        elif table == "instances":
            self.end_stream()
        elif self._check is None or row[0] != self._stream[0]:
            raise DamagedRecordError
        elif table == "segments":
            _, seq, _, types, at, payload, text, trail, erased, link = row
            self.events += segments.count(types)
            follows = self._check.follows(seq, types, at, payload, text, trail, erased, link)
            self._sound = self._sound and follows

    def end_stream(self) -> None:
        """Look whether the chain of the stream that was under way ended as it should."""
        if self._check is None:
            return
        _, kind, name, _, _, last_seq, _, _, _, _, end, *_ = self._stream
        if not self._sound or not self._check.audit(last_seq, end).intact:
            self.damaged.append(StreamKey(kind, name))
        self._check = None

    def digest(self) -> bytes:
        """Return the SHA-256 of all lines."""
        return self._hash.digest()
