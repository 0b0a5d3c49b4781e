"""Stores that earlier versions made, kept in ``earlier``: each opens as the newest.

A new migration needs the file of the version before it: the schema as that version made it, with
the content that these tests look for.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from event_log_contract import ONE, TWO, event

from ensemble.core.errors import FencedOffError
from ensemble.eventlog import PostgresEventLog, SqliteEventLog, StreamKey, postgres_schema
from ensemble.eventlog.sqlite_schema import MIGRATIONS
from ensemble.testkit.postgres import shared_postgres

pytestmark = pytest.mark.contract

EARLIER = Path(__file__).parent / "earlier"
THREE = StreamKey("session", "three")
FOUR = StreamKey("session", "four")
Log = SqliteEventLog | PostgresEventLog


def _sqlite(path: Path, version: int) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.executescript((EARLIER / f"sqlite_{version}.sql").read_text())
    return path


async def _postgres(dsn: str, version: int) -> str:
    connection = await asyncpg.connect(dsn)
    await connection.execute((EARLIER / f"postgres_{version}.sql").read_text())
    await connection.close()
    return dsn


def test_every_earlier_version_is_here() -> None:
    for store, migrations in (("sqlite", MIGRATIONS), ("postgres", postgres_schema.MIGRATIONS)):
        for version in range(1, len(migrations)):
            assert (EARLIER / f"{store}_{version}.sql").exists()


async def _reads_the_same(log: Log) -> None:
    events = await log.read(ONE)
    assert [item.payload for item in events] == [b"old %d" % n for n in range(1, 6)]
    assert [item.text for item in events] == [f"wört {n}" for n in range(1, 6)]
    assert [item.schema_version for item in events] == [1, 2, 3, 4, 5]
    head = await log.head(ONE)
    assert head is not None
    assert (head.owner, head.mark, head.last_seq, head.fence) == ("ada", "open", 5, 0)
    (told,) = await log.read(TWO)
    assert told.payload == b"\x00\xff'"
    snapshot = await log.snapshot(TWO)
    assert snapshot is not None
    assert (snapshot.seq, snapshot.payload) == (1, b"state")
    assert [item.erased for item in await log.read(THREE)] == [True]
    for key, events_, erased in ((ONE, 5, 0), (TWO, 1, 0), (THREE, 1, 1)):
        found = await log.audit(key)
        assert (found.events, found.erased, found.dropped) == (events_, erased, 0)
        assert found.intact


async def _goes_on(log: Log) -> None:
    assert await log.append([event(ONE, b"new", expected_seq=5), event(StreamKey("s", "new"))]) == [
        6,
        1,
    ]
    assert (await log.heads("session"))[0].stream == ONE
    with pytest.raises(FencedOffError):
        await log.append([event(TWO)])
    instance = await log.ownership.join("edge-1")
    assert (instance.incarnation, instance.fence) == (2, 2)
    assert await log.ownership.claim(TWO, instance)
    assert await log.append([event(TWO)], fence=instance.fence) == [2]
    head = await log.head(THREE)
    assert head is not None
    dropped = await log.drop("session", before=head.updated_at + 1, erased=True)
    assert (dropped.streams, dropped.events) == (1, 1)
    for key in (ONE, TWO, THREE):
        assert (await log.audit(key)).intact


@pytest.mark.parametrize("version", range(2, len(MIGRATIONS)))
async def test_a_sqlite_file_is_brought_to_the_newest(tmp_path: Path, version: int) -> None:
    path = _sqlite(tmp_path / "log.db", version)
    for _ in range(2):
        log = await SqliteEventLog.open(path)
        await _reads_the_same(log)
        await log.close()
    log = await SqliteEventLog.open(path)
    await _goes_on(log)
    await log.close()
    assert _sqlite_shape(path) == _sqlite_shape(await _new_sqlite(tmp_path / "new.db"))


async def _new_sqlite(path: Path) -> Path:
    log = await SqliteEventLog.open(path)
    await log.close()
    return path


def _sqlite_shape(path: Path) -> set[object]:
    with closing(sqlite3.connect(path)) as database:
        return {
            (name, *column)
            for (name,) in database.execute("SELECT name FROM sqlite_schema").fetchall()
            for column in database.execute(f"PRAGMA table_info({name})").fetchall()
        }


@pytest.mark.parametrize("version", range(1, len(postgres_schema.MIGRATIONS)))
async def test_a_postgres_database_is_brought_to_the_newest(dsn: str, version: int) -> None:
    await _postgres(dsn, version)
    for _ in range(2):
        log = await PostgresEventLog.open(dsn)
        await _reads_the_same(log)
        await log.close()
    log = await PostgresEventLog.open(dsn)
    await _goes_on(log)
    await log.close()
    server = await asyncio.to_thread(shared_postgres)
    async with server.database() as other:
        await (await PostgresEventLog.open(other)).close()
        assert await _postgres_shape(dsn) == await _postgres_shape(other)


async def test_what_postgres_wrote_together_in_version_3_stays_together(dsn: str) -> None:
    await _postgres(dsn, 3)
    log = await PostgresEventLog.open(dsn)
    events = await log.read(FOUR)
    assert [item.payload for item in events] == [b"old %d" % n for n in range(1, 5)]
    assert [item.text for item in events] == ["", "wört 2", "", "wört 4"]
    assert [(item.type, item.schema_version) for item in events] == [
        ("said", 1),
        ("told", 1),
        ("said", 2),
        ("said", 1),
    ]
    assert [head.stream for head in await log.heads("session")] == [FOUR, THREE, TWO, ONE]
    before = (await log.audit(FOUR)).chain_head
    await log.erase([FOUR])
    assert await log.append([event(FOUR, b"new")]) == [5]
    found = await log.audit(FOUR)
    assert (found.events, found.erased, found.intact) == (5, 4, True)
    assert found.chain_head != before
    await log.close()


async def _postgres_shape(dsn: str) -> list[object]:
    connection = await asyncpg.connect(dsn)
    columns = await connection.fetch(
        "SELECT table_name, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    indexes = await connection.fetch(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    )
    await connection.close()
    return [tuple(row) for row in (*columns, *indexes)]


async def test_many_processes_migrate_one_database_once(dsn: str) -> None:
    await _postgres(dsn, 1)
    logs = await asyncio.gather(*(PostgresEventLog.open(dsn) for _ in range(4)))
    for log in logs:
        await _reads_the_same(log)
        await log.close()


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _postgres(dsn, 1)
    broken = (*postgres_schema.MIGRATIONS, "CREATE TABLE added (a int); SELECT 1 / 0")
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", broken)
    with pytest.raises(Exception, match="cannot be used"):
        await PostgresEventLog.open(dsn)
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT max(version) FROM schema_version") == 1
    assert await connection.fetchval("SELECT to_regclass('added')") is None
    assert await connection.fetchval("SELECT count(*) FROM token_stream") == 0
    await connection.close()
