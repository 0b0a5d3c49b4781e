"""Judges a log after a power cut by what its writers were told."""

from dataclasses import dataclass, field

from ensemble.eventlog import Event, EventLog, StreamKey
from tests.chaos.power_cut.workload import KIND, SHARED, Batch, batch, snapshot

_PAGE = 1000


@dataclass(slots=True)
class Place:
    """How far a stream is: its last batch and last event."""

    batch: int = 0
    seq: int = 0


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        wrong: What must not be, in words; empty where all is as it was promised.
        lost: Acknowledged batches that are gone.
        places: Where each stream stands now.
    """

    wrong: list[str] = field(default_factory=list)
    lost: int = 0
    places: dict[str, Place] = field(default_factory=dict)


async def judge(log: EventLog, acknowledged: dict[str, int]) -> Verdict:
    """Compare a log with what was acknowledged.

    Args:
        acknowledged: Number of the last acknowledged batch of each stream. A writer has at
            most one more under way: that one may be there, whole, or not.
    """
    verdict = Verdict()
    expected_shared = set()
    for stream, count in acknowledged.items():
        place = await _judge_stream(log, stream, verdict)
        verdict.places[stream] = place
        if place.batch < count:
            verdict.lost += count - place.batch
            verdict.wrong.append(f"{stream}: batches {place.batch + 1} to {count} are lost")
        elif place.batch > count + 1:
            verdict.wrong.append(f"{stream}: batch {place.batch} was never begun")
        expected_shared |= {f"{stream}:{n}".encode() for n in range(1, place.batch + 1)}
    shared = await _read(log, SHARED)
    there = [event.payload for event in shared]
    if len(there) != len(set(there)) or set(there) != expected_shared:
        verdict.wrong.append("a batch is there in one of its streams only, or twice")
    await _judge_chain(log, SHARED, shared, verdict)
    return verdict


async def _judge_stream(log: EventLog, stream: str, verdict: Verdict) -> Place:
    key = StreamKey(KIND, stream)
    events, place = await _read(log, key), Place()
    while place.seq < len(events):
        due = batch(stream, place.batch + 1, place.seq + 1)
        if not _same(events[place.seq : due.last], due):
            verdict.wrong.append(f"{stream}: batch {due.number} is torn or was changed")
            break
        place = Place(due.number, due.last)
    await _judge_chain(log, key, events, verdict)
    kept = await log.snapshot(key)
    last = (place.seq, snapshot(stream, place.batch)) if place.batch else None
    if (kept and (kept.seq, kept.payload)) != last:
        verdict.wrong.append(f"{stream}: the snapshot is not that of batch {place.batch}")
    return place


def _same(events: list[Event], due: Batch) -> bool:
    there = [
        (event.seq, event.type, event.payload, event.text, event.schema_version) for event in events
    ]
    return there == [
        (due.first + index, one.type, one.payload, one.text, one.schema_version)
        for index, one in enumerate(due.events)
    ]


async def _judge_chain(
    log: EventLog, key: StreamKey, events: list[Event], verdict: Verdict
) -> None:
    audit, head = await log.audit(key), await log.head(key)
    if not audit.intact or audit.events != len(events):
        verdict.wrong.append(f"{key.name}: the chain is broken at {audit.first_bad_seq}")
    if (head.last_seq if head else 0) != len(events):
        verdict.wrong.append(f"{key.name}: the head does not know how many events there are")


async def _read(log: EventLog, key: StreamKey) -> list[Event]:
    events: list[Event] = []
    while page := await log.read(key, len(events), _PAGE):
        events += page
    return events
