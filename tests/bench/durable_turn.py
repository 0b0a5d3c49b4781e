"""What a turn takes: without durability, durable on each store, and until its first piece.

One turn at a time, with 256 pieces of eight characters and one tool call; after each an fsync
of 4 KiB in the same folder. ``tests/bench/durable`` says what each system promises of a turn.

Without durability Ensemble's log is in memory, LangGraph has no saver, and DBOS, which cannot
do without, writes to a file in memory.

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
    count = 16 if quick else 80
    async with Stores() as stores:

        async def turns(name: str, kind: str, count: int = count, **rest: float) -> Found:
            rest["count"] = count
            folder = str(stores.folder)
            return await stores.measure("turns", name, kind, folder=folder, **rest)

        bare = await turns("ensemble", "")
        rows = beside(
            "not_durable.turn.p50",
            bare["done"],
            "ms",
            {
                "langgraph": (await turns("langgraph", "")).get("done"),
                "dbos on tmpfs": (await turns("dbos", "tmpfs")).get("done"),
            },
        )
        unsaved = (await turns("ensemble", "", piece_s=_PIECE_S))["first"]
        for kind, goal in _STORES.items():
            ours = await turns("ensemble", kind)
            others = {name: await turns(name, kind) for name in OTHERS}
            tokens = await turns("dbos-tokens", kind, 2 if quick else 4)
            rows += await _log(stores, kind, goal, 50 if quick else 400)
            rows += beside(
                f"{kind}.turn.p50",
                ours["done"],
                "ms",
                {
                    **{name: found.get("done") for name, found in others.items()},
                    "dbos, tokens durable": tokens.get("done"),
                },
            )
            rows += [
                row(f"{kind}.turn.p99", ours["done.p99"], "ms"),
                row(f"{kind}.turn.commits", ours["commits"], "commits"),
                row(f"{kind}.turn.fsync.p50", ours["fsync"], "ms"),
            ]
            paced = {
                name: await turns(name, kind, count // 2, piece_s=_PIECE_S)
                for name in ("ensemble", *OTHERS)
            }
            first = paced.pop("ensemble")["first"]
            rows += beside(
                f"{kind}.first_piece.p50",
                first,
                "ms",
                {name: found.get("first") for name, found in paced.items()},
            )
            rows.append(row(f"{kind}.first_piece.added", first - unsaved, "ms"))
    return rows


async def _log(stores: Stores, kind: str, goal: str, count: int) -> list[Row]:
    folder = str(stores.folder)
    found = await stores.measure("log_turns", "log", kind, count=count, folder=folder)
    done, fsync = found["done"], found["fsync"]
    return [
        row(f"{kind}.append.p50", done, "ms", baseline=fsync),
        row(f"{kind}.append.over_fsync", done - fsync, "ms", goal=goal),
    ]
