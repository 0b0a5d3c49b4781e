"""What a benchmark found: rows with a value, a baseline beside it, and a goal."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured, such as ``inproc.unary.p50``.
        value: The figure.
        unit: Of ``value`` and ``baseline``.
        baseline: The same measured on something simple in the same run; None where there is
            nothing to compare with.
        ratio: ``value / baseline``; None without one.
        goal: Limit as text, such as ``<= 40`` for the value or ``>= 0.7 x`` for the ratio;
            None where the figure is only told.
        met: Whether the goal is met; None without one.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None


def row(
    name: str, value: float, unit: str, *, baseline: float | None = None, goal: str | None = None
) -> Row:
    """Return a row with its ratio worked out and its goal judged.

    Args:
        name: What was measured.
        value: The figure.
        unit: Its unit.
        baseline: To compare with, in the same unit.
        goal: ``<=`` or ``>=`` and a number; followed by ``x`` it is about the ratio.

    Raises:
        ValueError: The goal cannot be read, or is about a ratio that is not there.
    """
    ratio = value / baseline if baseline else None
    met = None if goal is None else _judge(goal, value, ratio)
    return Row(name, value, unit, baseline, ratio, goal, met)


def _judge(goal: str, value: float, ratio: float | None) -> bool:
    sign, limit, *rest = goal.split()
    if sign not in {"<=", ">="} or rest not in ([], ["x"]):
        raise ValueError(f"{goal!r} is not a goal")
    measured = ratio if rest else value
    if measured is None:
        raise ValueError(f"{goal!r} needs a baseline")
    return measured <= float(limit) if sign == "<=" else measured >= float(limit)


def write(folder: Path, suite: str, rows: Sequence[Row]) -> Path:
    """Write the rows of a suite to ``folder/SUITE.json`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite}.json"
    path.write_text(json.dumps([asdict(each) for each in rows], indent=1) + "\n")
    return path


def write_meta(folder: Path, extra: Mapping[str, object]) -> Path:
    """Write what the figures were measured on, and when, to ``folder/meta.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **extra,
    }
    path = folder / "meta.json"
    path.write_text(json.dumps(meta, indent=1) + "\n")
    return path


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text to be read."""
    cells = [("", "value", "baseline", "ratio", "goal", "")]
    cells += [
        (
            each.name,
            f"{_short(each.value)} {each.unit}",
            "" if each.baseline is None else _short(each.baseline),
            "" if each.ratio is None else f"{each.ratio:.2f} x",
            each.goal or "",
            {True: "met", False: "MISSED", None: ""}[each.met],
        )
        for each in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column in {0, 4, 5} else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _short(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that ``share`` (0..1) of all samples do not exceed.

    Raises:
        ValueError: There are no samples.
    """
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
