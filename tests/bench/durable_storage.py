"""What a long dialogue takes on disk after a checkpoint, and whether its turns grow slower.

One dialogue of 400 turns: a question, a tool call with its result, and an answer of 2 KiB. The
payload is the text and the tools' JSON. A turn's time is the median of the ten up to it.
LangGraph saves the whole dialogue after each node; it takes fewer turns, because what it writes
grows with the square of them.
"""

from tests.bench.durable.child import Found, Stores
from tests.bench.report import Row, row

_MARKS = (10, 100, 200, 400)


async def run(quick: bool) -> list[Row]:
    """Measure each system on each store."""
    count = 100 if quick else 400
    rows: list[Row] = []
    async with Stores() as stores:
        for kind, name, turns in (
            ("sqlite", "ensemble", count),
            ("sqlite", "langgraph", min(count, 200)),
            ("sqlite", "dbos", count),
            ("postgres", "ensemble", count),
            ("postgres", "langgraph", 100),
            ("postgres", "dbos", 100),
        ):
            if quick and kind == "postgres":
                continue
            found = await stores.measure("history", name, kind, count=turns)
            if found:
                rows += _rows(f"{kind}.{name}.{turns}_turns", found, ours=name == "ensemble")
    return rows


def _rows(name: str, found: Found, *, ours: bool) -> list[Row]:
    rows = [
        row(
            f"{name}.disk",
            found["disk"],
            "MB",
            baseline=found["payload"],
            goal="<= 1.5 x" if ours else None,
        )
    ]
    for mark in _MARKS:
        took = found.get(f"turn.{mark}")
        if took is not None:
            rows.append(row(f"{name}.turn_{mark}", took, "ms", baseline=found["turn.10"]))
    return rows
