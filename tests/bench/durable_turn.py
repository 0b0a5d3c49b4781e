"""What a turn takes: without durability, durable on each store, and until its first piece.

One turn at a time, with 256 pieces of eight characters and one tool call; after each an fsync
of 4 KiB in the same folder. ``tests/bench/durable`` says what each system promises of a turn.

Without durability Ensemble's log is in memory, where every piece is an event of its own because
none waits for a disk; LangGraph has no saver, and DBOS, which cannot do without, writes to a
file in memory.

``cpu`` is the time of the processor that the process took for a turn, with its share of the
fsyncs after it; unlike the rest it hardly depends on what else the machine is doing.

The first piece is timed with a model that needs no time for it and then 4 ms for each, as one of
250 tokens a second does, without a tool: ``added`` is what Ensemble's commits before it cost.

The goal of a durable turn is about what the log adds: the events of a whole turn (eight rows,
2 KiB) in one append, beside the fsync. A turn through the orchestrator commits several times: the
question, the tool call, its result, and the text as fast as the disk takes it.
"""

from tests.bench.durable.child import Found, Stores
from tests.bench.durable.rows import OTHERS, beside
from tests.bench.report import Row, row

_PIECE_S = 0.004
_STORES = {"sqlite": "<= 0.20", "postgres": "<= 0.35"}


async def run(quick: bool) -> list[Row]:
    """Measure each system on each store."""
    count = 16 if quick else 48
    async with Stores() as stores:

        async def turns(name: str, kind: str, count: int = count, **rest: float) -> Found:
            rest["count"] = count
            folder = str(stores.folder)
            return await stores.measure("turns", name, kind, folder=folder, **rest)

        bare = await turns("ensemble", "")
        plain = {
            "langgraph": await turns("langgraph", ""),
            "dbos on tmpfs": await turns("dbos", "tmpfs"),
        }
        rows = beside("not_durable.turn.p50", bare["done"], "ms", _of(plain, "done"))
        rows += beside("not_durable.turn.cpu", bare["cpu"], "ms", _of(plain, "cpu"))
        unsaved = (await turns("ensemble", "", piece_s=_PIECE_S))["first"]
        for kind, goal in _STORES.items():
            ours = await turns("ensemble", kind)
            others = {name: await turns(name, kind) for name in OTHERS}
            tokens = await turns("dbos-tokens", kind, 2) if kind == "sqlite" else {}
            rows += await _log(stores, kind, goal, 50 if quick else 400)
            others["dbos, tokens durable"] = tokens
            rows += beside(f"{kind}.turn.p50", ours["done"], "ms", _of(others, "done"))
            rows += beside(f"{kind}.turn.cpu", ours["cpu"], "ms", _of(others, "cpu"))
            rows += [
                row(f"{kind}.turn.p99", ours["done.p99"], "ms"),
                row(f"{kind}.turn.commits", ours["commits"], "commits"),
                row(f"{kind}.turn.fsync.p50", ours["fsync"], "ms"),
            ]
            first = (await turns("ensemble", kind, piece_s=_PIECE_S))["first"]
            paced = {}
            if kind == "sqlite":
                paced = {n: await turns(n, kind, count // 3, piece_s=_PIECE_S) for n in OTHERS}
            rows += beside(f"{kind}.first_piece.p50", first, "ms", _of(paced, "first"))
            rows.append(row(f"{kind}.first_piece.added", first - unsaved, "ms"))
    return rows


def _of(found: dict[str, Found], what: str) -> dict[str, float | None]:
    return {name: each.get(what) for name, each in found.items()}


async def _log(stores: Stores, kind: str, goal: str, count: int) -> list[Row]:
    folder = str(stores.folder)
    found = await stores.measure("log_turns", "log", kind, count=count, folder=folder)
    done, fsync = found["done"], found["fsync"]
    return [
        row(f"{kind}.append.p50", done, "ms", baseline=fsync),
        row(f"{kind}.append.over_fsync", done - fsync, "ms", goal=goal),
    ]
