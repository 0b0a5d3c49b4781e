import pytest

from ensemble.world_model.adapters.sqlite import SqliteWorldStore
from ensemble.world_model.app import build
from ensemble.world_model.entities import Wanted
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
