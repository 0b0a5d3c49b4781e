"""What an open dialogue takes in memory, and what piles up behind a consumer that is slow.

``waiting``: a dialogue that had a turn of 2 KiB and waits for the next. For Ensemble once as a
session that is kept folded, and once with its client's stream open, both sides of it in this
process. LangGraph and DBOS keep nothing of a dialogue; what grows there is theirs. ``thinking``: a
dialogue whose model is thinking. ``unread``: answers of 128 KiB whose consumers read the first
piece and no more, less the growth behind consumers that read everything.
"""

from tests.bench.durable.child import Found, Stores
from tests.bench.durable.rows import OTHERS, beside
from tests.bench.report import Row, row

_PIECES = 16_384
"""Of eight bytes: 128 KiB."""


async def run(quick: bool) -> list[Row]:
    """Measure each system on SQLite."""
    ours, theirs = (200, 30) if quick else (1000, 100)
    async with Stores() as stores:

        async def each(measure: str, name: str, count: int) -> float | None:
            return (await stores.measure(measure, name, "sqlite", count=count)).get("each")

        kept = await each("memory", "ensemble-port", ours)
        attached = await each("memory", "ensemble", ours)
        waiting = {name: await each("memory", name, theirs) for name in OTHERS}
        busy = await each("thinking", "ensemble", theirs)
        thinking = {name: await each("thinking", name, theirs) for name in OTHERS}
        assert kept is not None
        assert attached is not None
        assert busy is not None
        rows = [
            *beside("waiting.kept", kept, "KB", waiting, goal="<= 60"),
            *beside("waiting.attached", attached, "KB", waiting, goal="<= 60"),
            *beside("thinking", busy, "KB", thinking),
        ]
        for name, consumers in (("ensemble", 16), ("langgraph", 16)):
            rest = {"count": 4 if quick else consumers, "pieces": _PIECES}
            rows += _unread(name, await stores.measure("slow_consumer", name, "sqlite", **rest))
        tokens = {"count": 2, "pieces": 512}
        rows += _unread(
            "dbos", await stores.measure("slow_consumer", "dbos-tokens", "sqlite", **tokens)
        )
    return rows


def _unread(name: str, found: Found) -> list[Row]:
    if not found:
        return []
    behind = found["unread"] - found["reading"]
    return [row(f"{name}.unread", behind, "MB", baseline=found["payload"])]
