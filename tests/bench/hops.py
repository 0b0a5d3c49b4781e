"""A call between two services: over each transport, with and without traces."""

import asyncio
import json
import sys

from tests.bench.report import Row, row

_UNARY_GOALS = {"untraced": "<= 40", "traced": "<= 90"}
_TCP_GOALS = {"untraced": "<= 1.1 x", "traced": "<= 1.4 x"}


async def run(quick: bool) -> list[Row]:
    """Measure traced and untraced hops, each kind in a process of its own."""
    rows: list[Row] = []
    for mode in ("untraced", "traced"):
        rows += rows_of(mode, await _measured(mode, 0.15 if quick else 1.0))
    return rows


async def _measured(mode: str, scale: float) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.hop_rounds",
        mode,
        str(scale),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the {mode} hops could not be measured")
    figures: dict[str, float] = json.loads(out)
    return figures


def rows_of(mode: str, figures: dict[str, float]) -> list[Row]:
    """Return the rows of one mode: network hops beside bare gRPC, ours beside a queue."""
    rows = []
    for name, value in figures.items():
        transport, shape = name.split(".", 1)
        unit = "us" if shape.startswith("unary") else "msg/s"
        baseline = goal = None
        if transport in {"tcp", "unix"}:
            baseline = figures[f"bare.{shape}"]
        elif name == "inproc.server_stream":
            baseline = figures["queue.server_stream"]
            goal = ">= 0.7 x"
        elif name == "inproc.bidi_checked":
            baseline = figures["inproc.bidi"]
        elif name == "inproc.unary.p50":
            goal = _UNARY_GOALS[mode]
        if name == "tcp.unary.p50":
            goal = _TCP_GOALS[mode]
        rows.append(row(f"{mode}.{name}", value, unit, baseline=baseline, goal=goal))
    return rows
