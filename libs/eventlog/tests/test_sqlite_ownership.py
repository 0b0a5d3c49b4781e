"""Ownership in SQLite: the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ownership_contract import OwnershipContract

from ensemble.eventlog import Ownership, SqliteEventLog

pytestmark = pytest.mark.contract


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteEventLog]:
    opened = await SqliteEventLog.open(tmp_path / "log.db")
    yield opened
    await opened.close()


@pytest.fixture
def ownership(log: SqliteEventLog) -> Ownership:
    return log.ownership


class TestSqliteOwnership(OwnershipContract):
    """Every behaviour of the port."""


async def test_a_fence_is_never_given_twice(tmp_path: Path) -> None:
    fences = []
    for number in range(3):
        log = await SqliteEventLog.open(tmp_path / "log.db")
        instance = await log.ownership.join("edge-1")
        assert instance.incarnation == number + 1
        fences.append(instance.fence)
        await log.close()
    assert fences == sorted(set(fences))
