import asyncio
import time

import pytest

from ensemble.world_model.adapters.sqlite import SqliteWorldStore
from ensemble.world_model.app import build
from ensemble.world_model.entities import Observation, Wanted
from ensemble.world_model.retention import Retention
from ensemble.world_model.settings import Settings

pytestmark = pytest.mark.unit


async def test_a_file_in_use_fails_the_start_and_says_by_whom(serve, tmp_path):
    path = tmp_path / "world.db"
    store = await SqliteWorldStore.open(path)
    try:
        with pytest.raises(RuntimeError, match="already uses"):
            async with serve(path):
                pass
    finally:
        await store.close()
    async with serve(path) as host:
        (status,) = host.describe()
        assert list(status.engines) == ["sqlite"]


async def test_a_service_that_was_closed_can_start_again(tmp_path):
    service = build(Settings(database=tmp_path / "world.db"), None)
    for _ in range(2):
        await service.start()
        await service.close()
    store = await SqliteWorldStore.open(tmp_path / "world.db")
    assert (await store.query(Wanted())).sequence == 0
    await store.close()


def test_the_file_is_under_the_home_unless_said_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("ENSEMBLE_HOME", str(tmp_path))
    assert Settings().database_path() == tmp_path / "world.db"
    assert Settings(database=tmp_path / "x.db").database_path() == tmp_path / "x.db"


async def test_a_start_that_failed_leaves_the_file_free(tmp_path, monkeypatch):
    def fail(*_):
        raise TypeError("not this time")

    path = tmp_path / "world.db"
    with monkeypatch.context() as patch:
        patch.setattr("ensemble.world_model.adapters.sqlite_reads.head", fail)
        with pytest.raises(TypeError):
            await SqliteWorldStore.open(path)
    store = await SqliteWorldStore.open(path)
    await store.close()


@pytest.mark.parametrize(("days", "left"), [(30.0, 1), (90.0, 3), (0.0, 3)])
async def test_what_was_removed_many_days_ago_is_forgotten_at_once(tmp_path, days, left):
    then = time.time_ns() // 1000 - 60 * 86_400 * 1_000_000
    store = await SqliteWorldStore.open(tmp_path / "world.db", clock=lambda: then)
    await store.observe("", [Observation("call", "x", {"result": "1"})])
    await store.observe("", [Observation("call", "x", removed=True)])
    await store.observe("", [Observation("call", "y")])
    retention = Retention(store, days)
    retention.start()
    async with asyncio.timeout(20):
        while len((await store.changes(0, "", 10)).changes) > left:
            await asyncio.sleep(0.01)
    # A write that comes later is made after the first round.
    await store.observe("", [Observation("call", "z")])
    await retention.close()
    assert len((await store.changes(0, "", 10)).changes) == left + 1
    await store.close()


def test_the_past_cannot_be_kept_for_less_than_no_time():
    with pytest.raises(ValueError, match="keep_removed_days"):
        Settings(keep_removed_days=-1)
