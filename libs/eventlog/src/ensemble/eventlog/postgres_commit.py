"""What one commit of the Postgres log writes: worked out here, written by one statement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ensemble.eventlog import chain
from ensemble.eventlog import postgres_statements as statements
from ensemble.eventlog.event_log import Append, Execution, StreamKey
from ensemble.eventlog.postgres_database import Connection
from ensemble.eventlog.segments import Kind, codes_of
from ensemble.eventlog.stream_state import Place, Segment, StreamState, Written


async def load_states(
    connection: Connection, streams: Sequence[StreamKey], *, lock: bool
) -> dict[StreamKey, StreamState]:
    """Return how ``streams`` stand, those that exist; ``lock`` keeps others from them."""
    rows = await connection.fetch(
        statements.LOAD + ("FOR UPDATE OF s" if lock else ""),
        [stream.kind for stream in streams],
        [stream.name for stream in streams],
    )
    return {StreamKey(kind, name): StreamState(*rest) for kind, name, *rest in rows}


@dataclass(slots=True)
class _Change:
    """One stream before and after the commit."""

    before: StreamState
    after: StreamState
    owner: str = ""
    mark: str | None = None
    snapshot: tuple[int, bytes, bytes] | None = None
    fresh: bool = False

    def row(self) -> tuple[object, ...]:
        """Return the values of the stream in the statement."""
        before, after = self.before, self.after
        return (
            before.id, before.last_seq, before.fence, before.secret,
            after.last_seq, after.updated_at, after.chain, after.secret, self.mark,
        )  # fmt: skip


@dataclass(slots=True)
class _Work:
    stream: StreamKey
    seq_from: int
    seq_to: int
    started_at: int
    ended_at: int | None
    execution: Execution

    def row(self, stream: int) -> tuple[object, ...]:
        """Return the columns of the table; ``stream`` is the id of the row."""
        it = self.execution
        return (
            it.id, stream, self.seq_from, self.seq_to, it.agent, it.model, it.status,
            it.input_tokens, it.output_tokens, it.latency_ms, it.cost_nanos, self.started_at,
            self.ended_at,
        )  # fmt: skip


@dataclass(slots=True)
class Commit:
    """Takes batches one by one; each is accepted whole or refused whole.

    Args:
        known: How streams stand; what is missing does not exist.
    """

    known: Mapping[StreamKey, StreamState]
    _changes: dict[StreamKey, _Change] = field(default_factory=dict)
    _segments: list[tuple[StreamKey, Segment]] = field(default_factory=list)
    _works: dict[str, _Work] = field(default_factory=dict)

    def add(self, batch: Sequence[Append], now: int, fence: int) -> Written:
        """Accept ``batch``; ``now`` is in nanoseconds. Raises as ``EventLog.append`` does."""
        touched: dict[StreamKey, _Change] = {}
        places: list[Place] = []
        works: list[_Work] = []
        for item in batch:
            # The last to grow has the last position.
            change = touched.pop(item.stream, None) or self._change(item, now, fence)
            touched[item.stream] = change
            state = change.after
            places.append(state.take(item, now, fence))
            if item.mark is not None:
                change.mark = item.mark
            if item.snapshot is not None:
                change.snapshot = (state.last_seq, item.snapshot, state.seal(item.snapshot))
            if item.execution is not None:
                works.append(_work(item.stream, state, item.execution))
        self._changes.update(touched)
        for stream, change in touched.items():
            self._segments += [(stream, made) for made in change.after.segments()]
        for work in works:
            former = self._works.get(work.execution.id)
            if former is not None:
                work.seq_from, work.started_at = former.seq_from, former.started_at
            self._works[work.execution.id] = work
        return Written(batch, places)

    def _change(self, item: Append, now: int, fence: int) -> _Change:
        former = self._changes.get(item.stream)
        if former is not None:
            return replace(former, after=former.after.copy())
        known = self.known.get(item.stream)
        before = known or StreamState(0, 0, now, 0, chain.START, b"")
        change = _Change(before, before.copy())
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
        return {stream: change.after for stream, change in self._changes.items()}

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
            statements.MAKE,
            chain.START,
            [key.kind for key in fresh],
            [key.name for key in fresh],
            [change.owner for change in fresh.values()],
            [change.after.updated_at for change in fresh.values()],
            [change.after.fence for change in fresh.values()],
        )
        for id_, kind, name in rows:
            change = fresh[StreamKey(kind, name)]
            change.before = replace(change.before, id=id_, fence=change.after.fence)
            change.after.id = id_
        return len(rows) == len(fresh)

    async def write(self, connection: Connection, codes: Mapping[Kind, int]) -> bool:
        """Write it all.

        Args:
            codes: Of every type of event that is written.

        Returns:
            False if a stream does not stand as it was known: nothing was written.
        """
        changes = sorted(self._changes.values(), key=lambda change: change.after.id)
        pictures = [(change.after.id, *change.snapshot) for change in changes if change.snapshot]
        works = [work.row(self._changes[work.stream].after.id) for work in self._works.values()]
        one = len(self._segments) == 1
        row = await connection.fetchrow(
            statements.write(one=one, snapshots=bool(pictures), executions=bool(works)),
            *(self._one(changes[0], codes) if one else self._many(changes, codes)),
            *zip(*pictures, strict=True),
            *zip(*works, strict=True),
        )
        return row is not None and bool(row["ok"])

    def _one(self, change: _Change, codes: Mapping[Kind, int]) -> Iterable[object]:
        ((_, made),) = self._segments
        types = codes_of(codes[kind] for kind in made.kinds)
        return *change.row(), made.link, types, made.payload, made.text, made.trail

    def _many(self, changes: Sequence[_Change], codes: Mapping[Kind, int]) -> Iterable[object]:
        segments = [
            (
                self._changes[stream].after.id, made.seq,
                codes_of(codes[kind] for kind in made.kinds), made.created_at, made.payload,
                made.text, made.trail, made.link,
            )
            for stream, made in self._segments
        ]  # fmt: skip
        streams = [change.row() for change in changes]
        return *zip(*segments, strict=True), *zip(*streams, strict=True)


def _work(stream: StreamKey, state: StreamState, execution: Execution) -> _Work:
    at = state.updated_at
    ended = None if execution.running else at
    return _Work(stream, state.last_seq, state.last_seq, at, ended, execution)
