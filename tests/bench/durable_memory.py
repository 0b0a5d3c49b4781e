"""What an open dialogue takes in memory, and what piles up behind a consumer that is slow.

``waiting``: a dialogue that had a turn of 2 KiB and waits for the next. For Ensemble once as a
session that is kept folded, and once with its client's stream open, both sides of it in this
process. LangGraph and DBOS keep nothing of a dialogue; what grows there is theirs. ``thinking``: a
dialogue whose model is thinking. ``unread``: for each of some consumers that read the first piece
of an answer of so many KiB and no more, less what grows behind one that reads everything: it
should not grow with the answer. What DBOS keeps for them is in its store.
"""

from tests.bench.durable.child import Found, Stores
from tests.bench.durable.rows import OTHERS, beside
from tests.bench.report import Row, row


async def run(quick: bool) -> list[Row]:
    """Measure each system on SQLite."""
    ours, theirs = (500, 30) if quick else (1000, 100)
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
        shapes = [(4, 16)] if quick else [(16, 16), (4, 64)]
        for consumers, thousands in shapes:
            rest = {"count": consumers, "pieces": thousands * 1024}
            for name in ("ensemble", "langgraph"):
                found = await stores.measure("slow_consumer", name, "sqlite", **rest)
                rows += _unread(name, found, rest["count"], rest["pieces"])
        rest = {"count": 4, "pieces": 512}
        found = await stores.measure("slow_consumer", "dbos-tokens", "sqlite", **rest)
        rows += _unread("dbos", found, rest["count"], rest["pieces"])
    return rows


def _unread(name: str, found: Found, consumers: int, pieces: int) -> list[Row]:
    if not found:
        return []
    behind = (found["unread"] - found["reading"]) / consumers * 1000
    unread = pieces * 8 / 1024
    return [row(f"{name}.unread_{unread:.0f}KiB", behind, "KB", baseline=unread * 1.024)]
