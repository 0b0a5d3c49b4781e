"""What the benchmarks of durability are made of."""

import json

import pytest

from tests.bench.durable import child
from tests.bench.durable.engine import PACKAGES
from tests.bench.durable.rows import beside
from tests.bench.durable.work import ARGUMENTS, QUESTION, RESULT, TOOL, Work

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("joined", [1, 3, 8, 256])
def test_an_answer_is_the_same_however_it_is_cut(joined: int) -> None:
    assert "".join(Work(joined=joined).answer) == "".join(Work().answer)
    assert sum(map(len, Work(joined=joined).answer)) == 2048


def test_the_payload_is_what_was_said_called_and_returned() -> None:
    called = len(TOOL) + len(ARGUMENTS) + len(json.dumps(RESULT))
    assert Work().payload == len(QUESTION) + 2048 + called
    assert Work(tool=False).payload == len(QUESTION) + 2048


def test_a_figure_stands_alone_and_beside_each_that_was_measured() -> None:
    rows = beside("turn", 2.0, "ms", {"langgraph": 4.0, "dbos": None}, goal="<= 1")
    assert [(each.name, each.baseline, each.ratio, each.met) for each in rows] == [
        ("turn", None, None, False),
        ("turn / langgraph", 4.0, 0.5, None),
    ]


def test_a_baseline_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PACKAGES, "dbos", "no_such_module.inside")
    assert child.installed("ensemble-port")
    assert not child.installed("dbos-tokens")
    assert "dbos is not measured" in capsys.readouterr().out


async def test_a_baseline_that_is_not_installed_has_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PACKAGES, "langgraph", "no_such_module")
    async with child.Stores() as stores:
        assert await stores.measure("turns", "langgraph", "sqlite", count=1) == {}
