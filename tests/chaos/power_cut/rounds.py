"""One body for every store: cut the power again and again, and look at what is left."""

import math
import random
import time
from dataclasses import dataclass, field

from ensemble.core.errors import EnsembleError
from ensemble.eventlog import EventLog
from tests.chaos.power_cut.lossy_disk.image import Dice
from tests.chaos.power_cut.stores import CannotOpenError, Store
from tests.chaos.power_cut.verdict import Place, Verdict, judge
from tests.chaos.power_cut.workload import batch

_CHANCES = (0.0, 0.02, 0.3, 0.7, 0.98)
# Changes to the disk until the power goes: while a store is made or recovers, and later on.
_EARLY, _LATE, _CONTROL = (1, 3000), (20, 4000), (800, 4000)
_EARLY_SHARE = 0.3


@dataclass(slots=True)
class Report:
    """What came of it.

    Attributes:
        cuts: How many there were.
        acknowledged: Batches that writers were told are durable.
        events: Events that were there after the cuts, each counted once.
        dropped: Writes and changes of names that were not synced when the power went.
        lost: Acknowledged batches that were gone.
        wrong: All that must not be, each with the cut after which it was found.
        places: Where each stream stands in the end.
    """

    store: str
    seed: int
    cuts: int = 0
    acknowledged: int = 0
    events: int = 0
    dropped: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.store}, POWER_CUT_SEED={self.seed}: {self.cuts} cuts in {self.seconds:.1f} s, "
            f"{self.acknowledged} batches acknowledged, {self.events} events there, {self.lost} "
            f"batches lost, {self.dropped} changes were not synced; "
            f"wrong: {self.wrong or 'nothing'}"
        )


async def cut_power(
    store: Store, *, cuts: int, seed: int, until_wrong: bool = False, after: Report | None = None
) -> Report:
    """Cut the power of a store ``cuts`` times, each time on what the cut before left.

    Args:
        until_wrong: End with the first cut after which something is wrong; no cut falls so
            early that nothing was acknowledged.
        after: What was done to the store before, where it is not new.
    """
    dice, began = random.Random(seed), time.monotonic()
    report = Report(type(store).__name__, seed)
    places = after.places if after else {stream: Place() for stream in store.streams}
    while report.cuts < cuts and not (report.wrong and until_wrong):
        early = not until_wrong and dice.random() < _EARLY_SHARE
        shortest, longest = _EARLY if early else _CONTROL if until_wrong else _LATE
        changes = round(math.exp(dice.uniform(math.log(shortest), math.log(longest))))
        # Sectors of both sizes, from nothing to nearly everything.
        surviving = Dice(
            random.Random(dice.random()), dice.choice(_CHANCES), dice.choice((512, 4096))
        )
        acknowledged = store.write_until_cut(places, changes, early=early)
        report.cuts += 1
        report.dropped += store.disk.settle(surviving)
        last = {name: acknowledged.get(name, at.batch) for name, at in places.items()}
        report.acknowledged += sum(last.values()) - sum(at.batch for at in places.values())
        verdict = await _judge(store, last)
        report.lost += verdict.lost
        report.events += sum(
            max(0, at.seq - places[name].seq) for name, at in verdict.places.items()
        )
        report.wrong += [f"cut {report.cuts}: {text}" for text in verdict.wrong]
        places = verdict.places or places
    report.places = places
    report.seconds = time.monotonic() - began
    return report


async def _judge(store: Store, acknowledged: dict[str, int]) -> Verdict:
    try:
        async with store.opened() as log:
            verdict = await judge(log, acknowledged)
            if not verdict.wrong:
                await _append_more(log, verdict.places)
            return verdict
    except (CannotOpenError, EnsembleError) as exc:
        return Verdict([f"it cannot be opened, or read: {exc}"], sum(acknowledged.values()))


async def _append_more(log: EventLog, places: dict[str, Place]) -> None:
    """Appends go on; on the copy that was judged, and in the next round on the store itself."""
    for stream, at in places.items():
        due = batch(stream, at.batch + 1, at.seq + 1)
        seqs = await log.append(due.appends)
        assert seqs[:-1] == list(range(due.first, due.last + 1)), (stream, at, seqs)
