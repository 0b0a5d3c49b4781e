"""Rows of the benchmarks: what is written, and how goals are judged."""

import json
from pathlib import Path

import pytest

from tests.bench.report import percentile, row, table, write, write_meta

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "baseline", "goal", "met"),
    [
        (40.0, None, "<= 40", True),
        (40.1, None, "<= 40", False),
        (70.0, 100.0, ">= 0.7 x", True),
        (69.0, 100.0, ">= 0.7 x", False),
        (5000.0, 5000.0, "<= 1.1 x", True),
        (111.0, 100.0, "<= 1.1 x", False),
        (3.0, 2.0, None, None),
    ],
)
def test_a_goal_is_met_or_missed(
    value: float, baseline: float | None, goal: str | None, met: bool | None
) -> None:
    judged = row("a", value, "us", baseline=baseline, goal=goal)
    assert judged.met is met
    assert ("MISSED" in table([judged])) == (met is False)
    assert judged.ratio == (None if baseline is None else value / baseline)


@pytest.mark.parametrize("goal", ["40", "< 40", "<= 1.1 x"])
def test_a_goal_that_cannot_be_judged_is_an_error(goal: str) -> None:
    with pytest.raises(ValueError, match=r"goal|baseline|values"):
        row("a", 1.0, "us", goal=goal)


def test_a_suite_is_a_list_of_rows_with_every_field(tmp_path: Path) -> None:
    rows = [
        row("hop.p50", 30.0, "us", goal="<= 40"),
        row("rate", 80.0, "msg/s", baseline=100.0, goal=">= 0.7 x"),
        row("told", 1.0, "MB"),
    ]
    written = json.loads(write(tmp_path / "bench", "hops", rows).read_text())
    assert written == [
        {
            "name": "hop.p50",
            "value": 30.0,
            "unit": "us",
            "baseline": None,
            "ratio": None,
            "goal": "<= 40",
            "met": True,
        },
        {
            "name": "rate",
            "value": 80.0,
            "unit": "msg/s",
            "baseline": 100.0,
            "ratio": 0.8,
            "goal": ">= 0.7 x",
            "met": True,
        },
        {
            "name": "told",
            "value": 1.0,
            "unit": "MB",
            "baseline": None,
            "ratio": None,
            "goal": None,
            "met": None,
        },
    ]


def test_meta_tells_the_machine_and_the_date(tmp_path: Path) -> None:
    meta = json.loads(write_meta(tmp_path, {"quick": True}).read_text())
    assert meta["cores"] >= 1
    assert meta["date"].endswith("+00:00")
    assert meta["quick"] is True


def test_percentiles_are_samples() -> None:
    samples = [float(n) for n in range(100, 0, -1)]
    assert percentile(samples, 0.5) == 50.0
    assert percentile(samples, 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)
