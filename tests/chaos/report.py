"""How long the listeners waited, as figures and as JSON under ``build/chaos``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.record import Record
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
        "p50": _percentile(heard, 0.50),
        "p95": _percentile(heard, 0.95),
        "max": round(max(heard, default=0.0), 3),
        "goal_p95": goal_s,
        "met": _percentile(heard, 0.95) <= goal_s,
        "histogram": _histogram(heard),
    }


def _percentile(values: Sequence[float], share: float) -> float:
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
