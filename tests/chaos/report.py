"""What runs come to, as text, and as JSON under ``build/chaos``."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.record import Record
from tests.chaos.run import Outcome
from tests.chaos.stack import Kill

FOLDER = Path(__file__).parents[2] / "build" / "chaos"
_STEP_S = 0.1
_SOON_S = 5.0


def silences(kills: Sequence[Kill], records: Sequence[Record]) -> list[float]:
    """Return how long speech broke off after each of ``kills``, for each who heard it.

    A break belongs to a kill when the loudspeaker ran dry within five seconds after it.
    """
    return sorted(
        silence.seconds
        for record in records
        for silence in record.silences
        if any(0 <= silence.began - kill.at < _SOON_S for kill in kills)
    )


def takeover(
    name: str, kills: Sequence[Kill], records: Sequence[Record], *, goal_s: float
) -> dict[str, Any]:
    """Return the histogram of the breaks that ``kills`` made in the speech, in seconds."""
    heard = silences(kills, records)
    return {
        "what": f"silence heard by a voice client; orchestrator {name}",
        "kills": len(kills),
        "count": len(heard),
        "p50": percentile(heard, 0.50),
        "p95": percentile(heard, 0.95),
        "max": round(max(heard, default=0.0), 3),
        "goal_p95": goal_s,
        "met": percentile(heard, 0.95) <= goal_s,
        "histogram": _histogram(heard),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of sorted ``values`` lie below; 0 for none."""
    if not values:
        return 0.0
    return round(values[min(len(values) - 1, int(share * len(values)))], 3)


def _histogram(values: Sequence[float]) -> dict[str, int]:
    bins: dict[str, int] = {}
    for value in values:
        name = f"{int(value / _STEP_S) * _STEP_S:.1f}"
        bins[name] = bins.get(name, 0) + 1
    return bins


def write(name: str, what: object) -> Path:
    """Write ``what`` as ``build/chaos/<name>.json``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(what, indent=2) + "\n")
    return path


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return what a person reads at the end of a run."""
    kills = [kill for outcome in outcomes for kill in outcome.kills]
    phases = Counter(kill.phase for kill in kills)
    victims = Counter(_service(kill) for kill in kills)
    told: Counter[str] = sum((outcome.told for outcome in outcomes), Counter())
    lines = [
        f"{len(kills)} kills; by phase {dict(phases)}; of {dict(victims)}",
        f"{sum(outcome.answered for outcome in outcomes)} turns answered whole; "
        f"broken off, and the client told: {dict(told)}",
    ]
    lines += [
        f"{outcome.name} seed {outcome.seed!r}: {len(outcome.kills)} kills in "
        f"{outcome.seconds:.0f} s, {len(outcome.faults)} faults"
        for outcome in outcomes
    ]
    lines += [
        f"  {outcome.name} gave up {each}" for outcome in outcomes for each in outcome.given_up
    ]
    return "\n".join(lines)


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the figures of runs."""
    kills = [kill for outcome in outcomes for kill in outcome.kills]
    return {
        "kills": len(kills),
        "by_phase": dict(Counter(kill.phase for kill in kills)),
        "by_service": dict(Counter(_service(kill) for kill in kills)),
        "runs": [
            {
                "name": outcome.name,
                "seed": outcome.seed,
                "seconds": round(outcome.seconds, 1),
                "kills": len(outcome.kills),
                "turns_answered_whole": outcome.answered,
                "turns_broken_off_and_told": dict(outcome.told),
                "losses": len(outcome.losses),
                "given_up": [asdict(each) for each in outcome.given_up],
                "losses_made_good_by_clients": sum(len(r.gaps) for r in outcome.records),
                "silences": _by_service(outcome),
                "faults": outcome.faults,
            }
            for outcome in outcomes
        ],
    }


def _service(kill: Kill) -> str:
    name, _, number = kill.victim.rpartition("-")
    return name if number.isdecimal() else kill.victim


def _by_service(outcome: Outcome) -> dict[str, list[float]]:
    """Return how long speech broke off, by the service that was killed last before it did."""
    found: dict[str, list[float]] = {}
    for record in outcome.records:
        for silence in record.silences:
            before = [kill for kill in outcome.kills if 0 <= silence.began - kill.at < _SOON_S]
            if before:
                found.setdefault(_service(before[-1]), []).append(round(silence.seconds, 3))
    return found
