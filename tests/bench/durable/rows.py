"""Rows of Ensemble beside the others."""

from collections.abc import Mapping

from tests.bench.report import Row, row

OTHERS = ("langgraph", "dbos")


def beside(
    name: str,
    value: float,
    unit: str,
    others: Mapping[str, float | None],
    *,
    goal: str | None = None,
) -> list[Row]:
    """Return the figure of Ensemble, and again beside that of each other that was measured.

    Args:
        name: What was measured.
        value: Of Ensemble.
        unit: Its unit.
        others: Figure of each other; None where there is none.
        goal: See ``row``.
    """
    rows = [row(name, value, unit, goal=goal)]
    for other, theirs in others.items():
        if theirs is not None:
            rows.append(row(f"{name} / {other}", value, unit, baseline=theirs))
    return rows
