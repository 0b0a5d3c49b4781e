"""Files of earlier versions: they open, read the same and get what they were written without."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from event_log_contract import ONE, TWO, event

from ensemble.core.errors import StorageCorruptError
from ensemble.eventlog import Append, SqliteEventLog
from ensemble.eventlog.sqlite_file import SqliteFile
from ensemble.eventlog.sqlite_schema import MIGRATIONS

pytestmark = pytest.mark.contract

# As version 1 made it; never to be changed.
_V1 = (Path(__file__).parent / "earlier" / "sqlite_1.sql").read_text()

_EVENTS = 2500
"""More than a migration reads at once."""


def _v1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_V1)
        with database:
            database.execute(
                "INSERT INTO streams VALUES (1, 'session', 'one', 'ada', 'open', ?, ?, 1000, 9000)",
                (_EVENTS, _EVENTS),
            )
            database.execute(
                "INSERT INTO streams VALUES (2, 'session', 'two', 'bob', '', 1, ?, 2000, 2000)",
                (_EVENTS + 1,),
            )
            database.executemany(
                "INSERT INTO events VALUES (?, 1, ?, 'said', 3, ?, ?)",
                # The clock of one event was wrong.
                [(n, n, 500 if n == 7 else 1000 + n, b"old %d" % n) for n in range(1, _EVENTS + 1)],
            )
            database.execute(
                "INSERT INTO events VALUES (?, 2, 1, 'told', 1, 2000, x'00ff')", (_EVENTS + 1,)
            )


async def test_a_file_of_version_1_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    _v1(path)
    for _ in range(2):
        log = await SqliteEventLog.open(path)
        events = await log.read(ONE, limit=_EVENTS + 10)
        assert [item.payload for item in events] == [b"old %d" % n for n in range(1, _EVENTS + 1)]
        assert {(item.type, item.schema_version, item.text) for item in events} == {("said", 3, "")}
        assert [item.created_at for item in events[:7]] == [*range(1001, 1007), 500]
        (other,) = await log.read(TWO)
        assert (other.type, other.payload) == ("told", b"\x00\xff")
        head = await log.head(ONE)
        assert head is not None
        assert (head.owner, head.mark, head.last_seq, head.fence) == ("ada", "open", _EVENTS, 0)
        assert [found.stream for found in await log.heads("session")] == [TWO, ONE]
        await log.close()


async def test_a_file_of_version_1_gets_a_chain(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    _v1(path)
    log = await SqliteEventLog.open(path)
    for key, count in ((ONE, _EVENTS), (TWO, 1)):
        found = await log.audit(key)
        assert (found.events, found.intact) == (count, True)
    assert await log.append([event(ONE, b"new", snapshot=b"state")]) == [_EVENTS + 1]
    assert (await log.audit(ONE)).intact
    assert (await log.erase([ONE])).events == _EVENTS + 1
    assert (await log.audit(ONE)).intact
    await log.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE segments SET payload = x'01' WHERE stream = 2")
    log = await SqliteEventLog.open(path)
    assert (await log.audit(TWO)).first_bad_seq == 1
    await log.close()


async def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    _v1(tmp_path / "old.db")
    shapes = []
    for name in ("old.db", "new.db"):
        log = await SqliteEventLog.open(tmp_path / name)
        await log.append([Append(ONE, "t", b"x")])
        await log.close()
        with closing(sqlite3.connect(tmp_path / name)) as database:
            shapes.append(
                {
                    (table, column)
                    for (table,) in database.execute(
                        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
                    ).fetchall()
                    for column in database.execute(f"PRAGMA table_info({table})").fetchall()
                }
            )
            assert database.execute("SELECT max(version) FROM schema_version").fetchone() == (
                len(MIGRATIONS),
            )
    assert shapes[0] == shapes[1]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    _v1(path)

    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM events")
        raise sqlite3.DatabaseError("no")

    with pytest.raises(Exception, match=r"log\.db"):
        SqliteFile(path, migrations=("", "CREATE TABLE added (a)", breaks))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (_EVENTS + 1,)
        assert database.execute("SELECT max(version) FROM schema_version").fetchone() == (1,)
        assert not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'added'").fetchall()


async def test_a_file_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = await SqliteEventLog.open(path)
    await log.append([event(ONE)])
    await log.close()
    SqliteFile(path, migrations=(*MIGRATIONS, "CREATE TABLE later (a)")).close()
    before = path.read_bytes()
    with pytest.raises(StorageCorruptError, match="newer"):
        await SqliteEventLog.open(path)
    assert path.read_bytes() == before
