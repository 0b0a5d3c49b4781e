"""The checker sees what a power cut must not do, whatever did it."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ensemble.eventlog import Append, SqliteEventLog
from tests.chaos.power_cut.verdict import judge
from tests.chaos.power_cut.workload import Batch, batch

pytestmark = pytest.mark.chaos


def batches(count: int) -> list[Batch]:
    made: list[Batch] = []
    for number in range(1, count + 1):
        made.append(batch("s0", number, made[-1].last + 1 if made else 1))
    return made


LAST = batches(5)[-1]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteEventLog]:
    log = await SqliteEventLog.open(tmp_path / "log.db")
    for one in batches(4):
        await log.append(one.appends)
    yield log
    await log.close()


async def found(log: SqliteEventLog, acknowledged: int) -> str:
    return "; ".join((await judge(log, {"s0": acknowledged})).wrong)


@pytest.mark.parametrize("acknowledged", [3, 4])
async def test_all_is_well(log: SqliteEventLog, acknowledged: int) -> None:
    """The batch that was under way may be there or not."""
    assert await found(log, acknowledged) == ""


async def test_a_stream_that_is_absent_is_lost(log: SqliteEventLog) -> None:
    verdict = await judge(log, {"s0": 4, "s1": 2})
    assert (verdict.lost, verdict.wrong) == (2, ["s1: batches 1 to 2 are lost"])


async def test_lost_batches_are_counted(log: SqliteEventLog) -> None:
    verdict = await judge(log, {"s0": 7})
    assert (verdict.lost, verdict.wrong) == (3, ["s0: batches 5 to 7 are lost"])


async def test_more_than_one_batch_too_many(log: SqliteEventLog) -> None:
    assert await found(log, 2) == "s0: batch 4 was never begun"


def changed(**values: object) -> tuple[Append, ...]:
    first, *rest = LAST.appends
    return (dataclasses.replace(first, **values), *rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("appends", "what"),
    [
        (LAST.events, "in one of its streams only"),
        ([LAST.shared], "in one of its streams only"),
        ([*LAST.appends, LAST.shared], "or twice"),
        (LAST.events[:-1], "is torn"),
        (changed(payload=b"another"), "is torn or was changed"),
        (changed(text="another"), "is torn or was changed"),
        (changed(schema_version=9), "is torn or was changed"),
        ([dataclasses.replace(LAST.events[-1], expected_seq=None)], "is torn or was changed"),
    ],
)
async def test_a_batch_that_is_not_whole(
    log: SqliteEventLog, appends: Sequence[Append], what: str
) -> None:
    assert len(LAST.events) > 1
    await log.append(appends)
    assert what in await found(log, 4)


async def test_a_snapshot_of_another_batch(log: SqliteEventLog) -> None:
    *rest, last = LAST.events
    late = dataclasses.replace(last, snapshot=b"state of s0 after 4")
    await log.append([*rest, late, LAST.shared])
    assert "the snapshot is not that of batch 5" in await found(log, 5)
