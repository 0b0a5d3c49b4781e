"""``python -m tests.bench [NAME ...] [--quick]``: run the suites, print tables, write JSON."""

import argparse
import asyncio
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

from ensemble.runtime.garbage import relax_collector
from tests.bench.report import Row, row, table, write, write_meta

SUITES = (
    "hops",
    "voice_turn_share",
    "embedded_turn",
    "barge_in",
    "placement",
    "durable_turn",
    "durable_rate",
    "durable_storage",
    "durable_memory",
    "recovery",
    "voice_gap",
)
"""Each is a module with ``async def run(quick: bool) -> list[Row]``."""

FOLDER = Path(__file__).parents[2] / "build" / "bench"


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 1 when a suite could not be measured. A missed goal is no error."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="NAME", help=f"of: {', '.join(SUITES)}")
    parser.add_argument("--quick", action="store_true", help="fewer samples, rougher figures")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.suites if name not in SUITES]:
        parser.error(f"there is no suite {unknown[0]!r}; known: {', '.join(SUITES)}")
    # Children are started by exec; gRPC's care for forks would only complain about them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    write_meta(FOLDER, {"quick": options.quick})
    broken = [name for name in options.suites or SUITES if not _run(name, options.quick)]
    print(f"written to {FOLDER}")
    if broken:
        print(f"not measured: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _run(name: str, quick: bool) -> bool:
    suite = importlib.import_module(f"tests.bench.{name}")
    relax_collector()  # as a process that serves does
    begin = time.monotonic()
    print(f"== {name}", flush=True)
    try:
        rows: list[Row] = asyncio.run(suite.run(quick))
    except Exception:
        # The other suites are still worth measuring.
        traceback.print_exc()
        return False
    rows.append(row("suite.took", time.monotonic() - begin, "s"))
    print(table(rows), end="\n\n", flush=True)
    write(FOLDER, name, rows)
    return True


if __name__ == "__main__":
    sys.exit(main())
