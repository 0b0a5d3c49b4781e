"""What one commit of the Postgres log writes: worked out here, written by one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ensemble.core.errors import ConflictError, FencedOffError
from ensemble.eventlog import chain
from ensemble.eventlog.event_log import Append, Event, Execution, StreamKey
from ensemble.eventlog.postgres_database import Connection

CHANNEL: Final = "ensemble_events"
_NANOS: Final = 1_000_000_000

# Writes everything if each stream still stands as expected, else nothing: without a
# transaction around it, it costs one round trip. Streams are locked in the order of their ids.
_WRITE: Final = """
WITH expected AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])
        AS e (id, last_seq, fence, secret)
), locked AS MATERIALIZED (
    SELECT s.id FROM streams s JOIN expected e ON e.id = s.id
    WHERE s.last_seq = e.last_seq AND s.fence = e.fence AND s.secret = e.secret
    ORDER BY s.id FOR UPDATE OF s
), verdict AS MATERIALIZED (
    SELECT count(*) = cardinality($1::bigint[]) AS ok FROM locked
), written AS (
    INSERT INTO events (stream, seq, type, schema_version, created_at, payload, text, link)
    SELECT n.stream, n.seq, n.type, n.schema_version, n.created_at, n.payload, n.text, n.link
    FROM verdict, unnest($5::bigint[], $6::bigint[], $7::text[], $8::integer[], $9::bigint[],
        $10::bytea[], $11::text[], $12::bytea[]) WITH ORDINALITY
        AS n (stream, seq, type, schema_version, created_at, payload, text, link, number)
    WHERE verdict.ok ORDER BY n.number
    RETURNING stream, position
), moved AS (
    UPDATE streams s SET last_seq = n.last_seq, updated_at = n.updated_at, chain = n.chain,
        secret = n.secret, position = w.position, mark = coalesce(n.mark, s.mark)
    FROM unnest($1::bigint[], $13::bigint[], $14::bigint[], $15::bytea[], $16::bytea[],
            $17::text[]) AS n (id, last_seq, updated_at, chain, secret, mark)
        JOIN (SELECT stream, max(position) AS position FROM written GROUP BY stream) w
        ON w.stream = n.id
    WHERE s.id = n.id
), pictured AS (
    INSERT INTO snapshots (stream, seq, payload, digest)
    SELECT n.stream, n.seq, n.payload, n.digest
    FROM verdict, unnest($18::bigint[], $19::bigint[], $20::bytea[], $36::bytea[])
        AS n (stream, seq, payload, digest)
    WHERE verdict.ok
    ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, payload = excluded.payload,
        digest = excluded.digest
), worked AS (
    INSERT INTO executions (id, stream, seq_from, seq_to, agent, model, status, input_tokens,
        output_tokens, latency_ms, cost_nanos, started_at, ended_at)
    SELECT n.*
    FROM verdict, unnest($21::text[], $22::bigint[], $23::bigint[], $24::bigint[], $25::text[],
        $26::text[], $27::text[], $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[],
        $32::bigint[], $33::bigint[]) AS n (id, stream, seq_from, seq_to, agent, model, status,
        input_tokens, output_tokens, latency_ms, cost_nanos, started_at, ended_at)
    WHERE verdict.ok
    ON CONFLICT (id) DO UPDATE SET seq_to = excluded.seq_to, agent = excluded.agent,
        model = excluded.model, status = excluded.status, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, latency_ms = excluded.latency_ms,
        cost_nanos = excluded.cost_nanos, ended_at = excluded.ended_at
)
SELECT ok, CASE WHEN ok THEN pg_notify($34, $35) END FROM verdict
"""

_MAKE: Final = """
INSERT INTO streams (kind, name, owner, mark, last_seq, position, created_at, updated_at, fence,
    chain, secret)
SELECT kind, name, owner, '', 0, 0, at, at, fence, $1, ''
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS n (kind, name, owner, at, fence)
ON CONFLICT (kind, name) DO UPDATE SET owner = excluded.owner, created_at = excluded.created_at,
    fence = excluded.fence
    WHERE streams.last_seq = 0 AND streams.fence IN (0, excluded.fence)
RETURNING id, kind, name
"""

_LOAD: Final = """
SELECT s.kind, s.name, s.id, s.last_seq, s.updated_at, s.fence, s.chain, s.secret
FROM streams s JOIN unnest($1::text[], $2::text[]) AS n (kind, name)
    ON s.kind = n.kind AND s.name = n.name
ORDER BY s.id
"""


@dataclass(slots=True)
class StreamState:
    """A stream as the store has it; ``id`` is 0 where it has no row yet."""

    id: int
    last_seq: int
    updated_at: int
    fence: int
    chain: bytes
    secret: bytes


async def load_states(
    connection: Connection, streams: Sequence[StreamKey], *, lock: bool
) -> dict[StreamKey, StreamState]:
    """Return how ``streams`` stand, those that exist; ``lock`` keeps others from them."""
    rows = await connection.fetch(
        _LOAD + ("FOR UPDATE OF s" if lock else ""),
        [stream.kind for stream in streams],
        [stream.name for stream in streams],
    )
    return {StreamKey(kind, name): StreamState(*rest) for kind, name, *rest in rows}


@dataclass(slots=True)
class _Change:
    """One stream before and after the commit."""

    id: int
    before: StreamState
    after: StreamState
    owner: str = ""
    mark: str | None = None
    snapshot: tuple[int, bytes, bytes] | None = None
    fresh: bool = False


@dataclass(slots=True)
class _Work:
    stream: StreamKey
    seq_from: int
    seq_to: int
    started_at: int
    ended_at: int | None
    execution: Execution


@dataclass(slots=True)
class Commit:
    """Takes batches one by one; each is accepted whole or refused whole.

    Args:
        known: How streams stand; what is missing does not exist.
    """

    known: Mapping[StreamKey, StreamState]
    _changes: dict[StreamKey, _Change] = field(default_factory=dict)
    _events: list[tuple[Event, bytes]] = field(default_factory=list)
    _works: dict[str, _Work] = field(default_factory=dict)

    def add(self, batch: Sequence[Append], now: int, fence: int) -> list[Event]:
        """Accept ``batch``; ``now`` is in nanoseconds. Raises as ``EventLog.append`` does."""
        touched: dict[StreamKey, _Change] = {}
        made: list[tuple[Event, bytes]] = []
        works: list[_Work] = []
        for item in batch:
            change = touched.get(item.stream)
            if change is None:
                change = touched[item.stream] = self._change(item, now, fence)
            state = change.after
            _check(state, item, fence)
            state.last_seq += 1
            state.updated_at = max(now, state.updated_at)
            state.secret = state.secret or chain.new_secret()
            # Postgres keeps no text with a zero character.
            text = item.text.replace("\0", "\N{REPLACEMENT CHARACTER}")
            content = chain.digest(state.secret, state.last_seq, item.payload, text)
            state.chain = chain.link(
                state.chain, state.last_seq, item.type, item.schema_version, state.updated_at,
                content,
            )  # fmt: skip
            if item.mark is not None:
                change.mark = item.mark
            if item.snapshot is not None:
                sealed = chain.digest(state.secret, state.last_seq, item.snapshot, "")
                change.snapshot = (state.last_seq, item.snapshot, sealed)
            if item.execution is not None:
                works.append(_work(item.stream, state, item.execution))
            event = Event(
                item.stream, state.last_seq, item.type, item.payload, item.schema_version,
                state.updated_at, text,
            )  # fmt: skip
            made.append((event, state.chain))
        self._changes.update(touched)
        self._events += made
        for work in works:
            former = self._works.get(work.execution.id)
            if former is not None:
                work.seq_from, work.started_at = former.seq_from, former.started_at
            self._works[work.execution.id] = work
        return [event for event, _ in made]

    def _change(self, item: Append, now: int, fence: int) -> _Change:
        former = self._changes.get(item.stream)
        if former is not None:
            return replace(former, after=replace(former.after))
        known = self.known.get(item.stream)
        before = known or StreamState(0, 0, now, 0, chain.START, b"")
        change = _Change(before.id, before, replace(before))
        if not before.last_seq:
            change.fresh, change.owner = True, item.owner
            if item.own and not before.fence:
                change.after.fence = fence
        return change

    @property
    def streams(self) -> list[StreamKey]:
        """The streams that are written to."""
        return list(self._changes)

    @property
    def makes_streams(self) -> bool:
        """Some of them have no event yet, so their rows must be made or completed."""
        return any(change.fresh for change in self._changes.values())

    def states(self) -> dict[StreamKey, StreamState]:
        """Return how the streams stand after the commit."""
        return {
            stream: replace(change.after, id=change.id) for stream, change in self._changes.items()
        }

    async def make_streams(self, connection: Connection) -> bool:
        """Make or complete the rows of streams that have no event yet.

        Returns:
            False if somebody else began one of them in the meantime.
        """
        names = sorted(self._changes, key=lambda key: (key.kind, key.name))
        fresh = {key: self._changes[key] for key in names if self._changes[key].fresh}
        if not fresh:
            return True
        rows = await connection.fetch(
            _MAKE,
            chain.START,
            [key.kind for key in fresh],
            [key.name for key in fresh],
            [change.owner for change in fresh.values()],
            [change.after.updated_at for change in fresh.values()],
            [change.after.fence for change in fresh.values()],
        )
        for id_, kind, name in rows:
            change = fresh[StreamKey(kind, name)]
            change.id = id_
            change.before = replace(change.before, fence=change.after.fence)
        return len(rows) == len(fresh)

    async def write(self, connection: Connection, news: str) -> bool:
        """Write it all; ``news`` is sent to those who listen.

        Returns:
            False if a stream does not stand as it was known: nothing was written.
        """
        changes = sorted(self._changes.values(), key=lambda change: change.id)
        before = [change.before for change in changes]
        after = [change.after for change in changes]
        ids = {key: change.id for key, change in self._changes.items()}
        events = [event for event, _ in self._events]
        pictures = [(change.id, *change.snapshot) for change in changes if change.snapshot]
        works = list(self._works.values())
        done = [work.execution for work in works]
        row = await connection.fetchrow(
            _WRITE,
            [change.id for change in changes],
            [state.last_seq for state in before],
            [state.fence for state in before],
            [state.secret for state in before],
            [ids[event.stream] for event in events],
            [event.seq for event in events],
            [event.type for event in events],
            [event.schema_version for event in events],
            [event.created_at for event in events],
            [event.payload for event in events],
            [event.text for event in events],
            [link for _, link in self._events],
            [state.last_seq for state in after],
            [state.updated_at for state in after],
            [state.chain for state in after],
            [state.secret for state in after],
            [change.mark for change in changes],
            [stream for stream, _, _, _ in pictures],
            [seq for _, seq, _, _ in pictures],
            [payload for _, _, payload, _ in pictures],
            [execution.id for execution in done],
            [ids[work.stream] for work in works],
            [work.seq_from for work in works],
            [work.seq_to for work in works],
            [execution.agent for execution in done],
            [execution.model for execution in done],
            [execution.status for execution in done],
            [execution.input_tokens for execution in done],
            [execution.output_tokens for execution in done],
            [execution.latency_ms for execution in done],
            [int(execution.cost_usd * _NANOS) for execution in done],
            [work.started_at for work in works],
            [work.ended_at for work in works],
            CHANNEL,
            news,
            [sealed for _, _, _, sealed in pictures],
        )
        return bool(row["ok"])


def _check(state: StreamState, item: Append, fence: int) -> None:
    if state.fence not in (0, fence):
        raise FencedOffError(
            f"The stream is held under fence {state.fence}, not {fence}.",
            metadata={"fence": str(fence), "holder": str(state.fence)},
        )
    if item.expected_seq is not None and item.expected_seq != state.last_seq:
        raise ConflictError(
            f"The stream stands at {state.last_seq}, not at {item.expected_seq}.",
            metadata={"expected": str(item.expected_seq), "found": str(state.last_seq)},
        )


def _work(stream: StreamKey, state: StreamState, execution: Execution) -> _Work:
    at = state.updated_at
    ended = None if execution.status == "running" else at
    return _Work(stream, state.last_seq, state.last_seq, at, ended, execution)
