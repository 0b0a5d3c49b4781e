"""The long run: ``python -m tests.chaos --kills 1000``, and the report that is committed.

It goes in rounds of 100 kills, each with a seed of its own. What a round came to is kept under
``build/chaos/full``; a run that was stopped goes on after the last round that it finished.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from ensemble.testkit.postgres import shared_postgres
from tests.chaos.bounds import too_many
from tests.chaos.checker import GivenUp
from tests.chaos.processes import Zygote
from tests.chaos.report import FOLDER, as_json, summary
from tests.chaos.run import crash
from tests.chaos.stack import Stack
from tests.chaos.written import markdown

ROUND = 100
REPORT = Path(__file__).parents[2] / "docs" / "chaos-report.md"


async def _round(seed: str, folder: Path) -> dict[str, Any]:
    async with (
        Zygote() as zygote,
        shared_postgres().database() as store,
        Stack("sqlite", folder / "sqlite", zygote) as sqlite,
        Stack(
            "postgres", folder / "pg", zygote, store=store, orchestrators=3, gateways=2
        ) as postgres,
    ):
        outcomes = await asyncio.gather(
            crash(sqlite, f"{seed} sqlite", kills=ROUND // 2),
            crash(postgres, f"{seed} postgres", kills=ROUND // 2),
        )
    print(summary(outcomes), flush=True)
    for outcome in outcomes:
        for fault in outcome.faults[:20]:
            print(f"  {outcome.name}: {fault}", flush=True)
    return as_json(outcomes)


def _first_seed(folder: Path) -> str:
    """Return the seed of the run: the one asked for, that of the run under way, or a new one."""
    kept = folder / "seed"
    seed = os.environ.get("CHAOS_SEED") or (kept.read_text() if kept.exists() else "")
    seed = seed or str(random.randrange(10**6))
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(seed)
    return seed


def main() -> int:
    """Run the rounds that are missing, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    options = parser.parse_args()
    full = FOLDER / "full"
    seed = _first_seed(full)
    rounds = []
    for number in range(1, -(-options.kills // ROUND) + 1):
        kept = full / f"{seed}-{number}.json"
        if not kept.exists():
            print(f"round {number}, CHAOS_SEED={seed}-{number}", flush=True)
            with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
                came = asyncio.run(_round(f"{seed}-{number}", Path(folder)))
            kept.write_text(json.dumps(came, indent=2) + "\n")
        rounds.append(json.loads(kept.read_text()))
        takeovers = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("takeover_*"))]
        REPORT.write_text(markdown(seed, rounds, takeovers))
    (full / "seed").unlink()
    runs = [run for each in rounds for run in each["runs"]]
    faults = [fault for run in runs for fault in run["faults"]]
    beyond = too_many(
        sum(run["losses"] for run in runs),
        [GivenUp(**given_up) for run in runs for given_up in run["given_up"]],
    )
    print(f"{sum(each['kills'] for each in rounds)} kills, {len(faults)} faults: {REPORT}")
    print("\n".join(beyond))
    return 1 if faults or beyond else 0


if __name__ == "__main__":
    sys.exit(main())
