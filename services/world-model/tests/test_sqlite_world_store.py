import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from world_store_contract import WorldStoreContract

from ensemble.core.errors import (
    StorageCorruptError,
    StorageLockedError,
    StorageUnavailableError,
)
from ensemble.eventlog.sqlite_file import SqliteFile
from ensemble.world_model.adapters.sqlite import SqliteWorldStore
from ensemble.world_model.adapters.sqlite_schema import MIGRATIONS
from ensemble.world_model.entities import Observation, Wanted

pytestmark = pytest.mark.contract


class TestSqliteWorldStore(WorldStoreContract):
    @pytest.fixture
    async def store(self, tmp_path):
        store = await SqliteWorldStore.open(tmp_path / "world.db")
        yield store
        await store.close()


async def test_knows_everything_after_a_restart(tmp_path):
    store = await SqliteWorldStore.open(tmp_path / "world.db")
    first = await store.observe("r", [Observation("device", "lamp", {"on": "true"}, ("f",))])
    await store.close()
    store = await SqliteWorldStore.open(tmp_path / "world.db")
    try:
        assert (await store.query(Wanted())).entities == first.entities
        assert await store.observe("r", [Observation("device", "lamp")]) == first
    finally:
        await store.close()


async def test_history_keeps_when_a_value_was_true(tmp_path):
    times = iter([10, 20])
    store = await SqliteWorldStore.open(tmp_path / "world.db", clock=lambda: next(times))
    for state in ("1", "2"):
        await store.observe("", [Observation("device", "lamp", {"state": state})])
    await store.close()
    with sqlite3.connect(tmp_path / "world.db") as connection:
        rows = connection.execute("SELECT value_json, observed_at, until FROM attributes")
        assert rows.fetchall() == [("1", 10, 20), ("2", 20, None)]


async def test_a_closed_store_says_so(tmp_path):
    store = await SqliteWorldStore.open(tmp_path / "world.db")
    await store.close()
    with pytest.raises(StorageUnavailableError):
        await store.query(Wanted())
    with pytest.raises(StorageUnavailableError):
        await store.observe("", [Observation("device", "lamp")])


async def test_refuses_a_second_user(tmp_path):
    store = await SqliteWorldStore.open(tmp_path / "world.db")
    try:
        with pytest.raises(StorageLockedError) as caught:
            await SqliteWorldStore.open(tmp_path / "world.db")
        assert str(tmp_path) in caught.value.message
        assert str(os.getpid()) in caught.value.message
    finally:
        await store.close()


@pytest.mark.parametrize("content", [b"not a database at all, really", b"SQLite format 3\0" * 40])
async def test_refuses_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "world.db"
    path.write_bytes(content)
    with pytest.raises(StorageCorruptError, match=r"world\.db"):
        await SqliteWorldStore.open(path)
    assert path.read_bytes() == content


async def test_refuses_a_newer_file(tmp_path):
    path = tmp_path / "world.db"
    await (await SqliteWorldStore.open(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, 0)")
    with pytest.raises(StorageCorruptError, match="newer"):
        await SqliteWorldStore.open(path)


async def test_a_file_of_before_erasure_existed(tmp_path):
    path = tmp_path / "world.db"
    with SqliteFile(path, migrations=MIGRATIONS[:1]) as file:
        file.writer.executescript("""
            INSERT INTO entities VALUES (1, 'timer', 't', 't', 2, 0, ' t ');
            INSERT INTO entities VALUES (2, 'memory', 'key', 'key', 3, 0, ' key ');
            INSERT INTO attributes VALUES (1, 'principal', '"anna"', x'00', 1, 1, NULL, NULL);
            INSERT INTO changes VALUES (1, 1, 'timer', 1, 0), (2, 2, 'timer', 1, 0);
            INSERT INTO changes VALUES (3, 3, 'memory', 2, 0);
        """)
    store = await SqliteWorldStore.open(path)
    try:
        assert (await store.erase("anna", ["timer", "memory"], {})).entities == 1
        assert [entity.name for entity in (await store.query(Wanted())).entities] == ["key"]
    finally:
        await store.close()


async def test_what_was_erased_is_in_no_file(tmp_path):
    store = await SqliteWorldStore.open(tmp_path / "world.db")
    try:
        seen = Observation("memory", "the hidden name", {"a": '"hidden value"'}, ("hidden fact",))
        await store.observe("", [seen], "annakey")
        await store.observe("", [Observation("device", "lamp", {"on": "true"})], "annakey")
        await store.erase("annakey", ["memory"], {})
        found = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"lamp" in found
        for word in (b"hidden", b"annakey"):
            assert word not in found
    finally:
        await store.close()


async def test_says_that_it_cannot_be_opened(tmp_path):
    (tmp_path / "world.db").mkdir()
    with pytest.raises(StorageUnavailableError, match=r"world\.db"):
        await SqliteWorldStore.open(tmp_path / "world.db")


# The limit on file size stands for a full disk, and is lifted as a disk is tidied up.
_FULL = """
import asyncio, resource, sys
from pathlib import Path
from ensemble.core.errors import StorageFullError
from ensemble.eventlog.sqlite_file import SqliteFile
from ensemble.world_model.adapters.sqlite import SqliteWorldStore
from ensemble.world_model.adapters.sqlite_schema import MIGRATIONS
from ensemble.world_model.entities import Observation, Wanted

async def main():
    store = await SqliteWorldStore.open(Path(sys.argv[1]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    text = '"' + "x" * 60_000 + '"'
    kept = 0
    try:
        for number in range(60):
            await store.observe(f"r{number}", [Observation("big", str(number), {"v": text})])
            kept += 1
    except StorageFullError as error:
        assert error.retryable
    assert 0 < kept < 60, kept
    assert len((await store.query(Wanted(kind="big", limit=100))).entities) == kept
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store.observe(f"r{kept}", [Observation("big", "after", {"v": text})])
    assert len((await store.query(Wanted(kind="big", limit=100))).entities) == kept + 1
    await store.close()

asyncio.run(main())
"""


async def test_a_full_disk_is_said_and_survived(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _FULL, str(tmp_path / "world.db"), stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


_WRITER = """
import asyncio, sys
from pathlib import Path
from ensemble.eventlog.sqlite_file import SqliteFile
from ensemble.world_model.adapters.sqlite import SqliteWorldStore
from ensemble.world_model.adapters.sqlite_schema import MIGRATIONS
from ensemble.world_model.entities import Observation

async def write(store, part):
    number = 0
    while True:
        await store.observe("", [Observation("n", f"{part}-{number}", {"v": "1"})])
        print(f"{part}-{number}", flush=True)
        number += 1

async def main():
    store = await SqliteWorldStore.open(Path(sys.argv[1]))
    await asyncio.gather(*(write(store, part) for part in range(4)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path):
    path = tmp_path / "world.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, str(path), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    rest = (await process.stdout.read()).decode()
    acknowledged += rest[: rest.rfind("\n") + 1].split()
    await process.wait()
    store = await SqliteWorldStore.open(path)
    try:
        kept = {change.entity.name for change in (await store.changes(0, "", 100_000)).changes}
    finally:
        await store.close()
    assert len(acknowledged) >= 300
    assert set(acknowledged) <= kept
