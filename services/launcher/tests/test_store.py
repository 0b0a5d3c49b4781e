"""``ensemble sessions backup``, ``restore`` and ``retain``: the store itself."""

import argparse
import json
import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ensemble.core.errors import (
    ConfigurationError,
    EnsembleError,
    StorageCorruptError,
    StorageLockedError,
    StorageNotEmptyError,
)
from ensemble.eventlog import Append, PostgresEventLog, SqliteEventLog, StreamKey
from ensemble.launcher.__main__ import _parser, main
from ensemble.launcher.commands import sessions
from ensemble.testkit.postgres import shared_postgres

pytestmark = pytest.mark.unit

DAY_NS = 24 * 3600 * 10**9


def options(*arguments: str) -> argparse.Namespace:
    return _parser().parse_args(["sessions", *arguments])


async def run(*arguments: str) -> int:
    return await sessions.run(options(*arguments))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ENSEMBLE_ORCHESTRATOR_STORE", raising=False)
    return tmp_path / "home"


@pytest.fixture
async def log(home: Path) -> AsyncIterator[SqliteEventLog]:
    """The log of an assistant that runs, with an old session and a new one."""
    now = time.time_ns()
    times = [now - 100 * DAY_NS] * 2 + [now]
    log = await SqliteEventLog.open(
        home / "orchestrator" / "log.db", clock=lambda: times.pop(0) if len(times) > 1 else now
    )
    for name in ("old", "old", "new"):
        append = Append(StreamKey("session", name), "said", b"hello", owner="default/key")
        await log.append([append])
    yield log
    await log.close()


async def test_a_running_assistant_is_backed_up_and_restored_elsewhere(
    log: SqliteEventLog, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "monday.ensemble"
    assert await run("backup", str(file)) == 0
    assert "Backed up 3 events of 2 streams" in capsys.readouterr().out
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home", file.name]
    other = tmp_path / "other.db"
    assert await run("restore", str(file), "--store", str(other), "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["streams"], counts["events"], counts["damaged"]) == (2, 3, [])
    restored = await SqliteEventLog.open(other)
    try:
        audit = await restored.audit(StreamKey("session", "old"))
        assert (audit.intact, audit.events) == (True, 2)
    finally:
        await restored.close()
    with pytest.raises(StorageNotEmptyError):
        await run("restore", str(file), "--store", str(other))


async def test_a_running_assistant_is_not_written_to(log: SqliteEventLog, tmp_path: Path) -> None:
    file = tmp_path / "b"
    await run("backup", str(file))
    for arguments in (("restore", str(file)), ("retain", "--older-than", "90d", "--yes")):
        with pytest.raises(StorageLockedError, match="Stop it first"):
            await run(*arguments)


async def test_what_is_older_is_dropped_and_the_rest_stays(
    log: SqliteEventLog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await log.close()
    assert await run("retain", "--older-than", "90d") == 2
    assert "--yes" in capsys.readouterr().err
    assert await run("retain", "--older-than", "90d", "--yes") == 0
    assert "Dropped 1 session, 2 events in all." in capsys.readouterr().out
    assert await run("retain", "--older-than", "13w", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"sessions": 0, "events": 0, "damaged": []}
    left = await SqliteEventLog.open(home / "orchestrator" / "log.db")
    try:
        assert [head.stream.name for head in await left.heads("session")] == ["new"]
    finally:
        await left.close()


async def test_the_way_to_postgres_and_back(
    log: SqliteEventLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, again = str(tmp_path / "a"), str(tmp_path / "b")
    assert await run("backup", file) == 0
    async with shared_postgres().database() as dsn:
        assert await run("restore", file, "--store", dsn) == 0
        with pytest.raises(StorageNotEmptyError):
            await run("restore", file, "--store", dsn)
        capsys.readouterr()
        assert await run("retain", "--older-than", "90d", "--yes", "--json", "--store", dsn) == 0
        assert json.loads(capsys.readouterr().out)["sessions"] == 1
        assert await run("backup", again, "--store", dsn, "--json") == 0
        assert json.loads(capsys.readouterr().out)["events"] == 1


@pytest.mark.parametrize("action", ["backup", "retain"])
async def test_a_store_that_is_not_there_is_named(home: Path, action: str, tmp_path: Path) -> None:
    rest = [str(tmp_path / "b")] if action == "backup" else ["--older-than", "1d", "--yes"]
    with pytest.raises(ConfigurationError, match="There is no log at"):
        await run(action, *rest)
    assert not home.exists()


async def test_what_is_no_backup_or_no_store_is_refused(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_text("something else")
    with pytest.raises(StorageCorruptError):
        await run("restore", str(file))
    with pytest.raises(ConfigurationError, match="neither"):
        await run("backup", str(file), "--store", "mysql://me@db")
    with pytest.raises(EnsembleError) as caught:
        await run("backup", str(file), "--store", "postgresql://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)


async def test_a_folder_that_is_not_there_is_named(log: SqliteEventLog, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        await run("backup", str(tmp_path / "nowhere" / "b"))


@pytest.mark.parametrize("age", ["0d", "90", "d", "-1d", "1y", "1.5d"])
def test_an_age_has_a_number_and_a_unit(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sessions", "retain", f"--older-than={age}"])
    assert "is no age" in capsys.readouterr().err


async def test_every_stream_of_a_running_store_is_checked_for_all_owners(
    log: SqliteEventLog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Append(StreamKey("notice", "n"), "said", b"hello", owner="default/somebody")
    await log.append([other])
    assert await run("verify", "--store") == 0
    assert "Checked 4 events of 3 streams: none broken." in capsys.readouterr().out
    assert [each.name for each in (home / "orchestrator").iterdir() if "verify" in each.name] == []
    with sqlite3.connect(home / "orchestrator" / "log.db") as connection:
        connection.execute(
            "UPDATE segments SET payload = ? WHERE stream = (SELECT id FROM streams WHERE name=?)",
            (b"changed", "n"),
        )
    connection.close()
    assert await run("verify", "--store", str(home / "orchestrator" / "log.db")) == 1
    out = capsys.readouterr().out
    assert "BROKEN  notice n\n" in out
    assert "3 streams: 1 broken." in out
    assert await run("verify", "--store", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {
        "streams": 3, "events": 4, "damaged": [{"kind": "notice", "name": "n"}], "readable": True,
    }  # fmt: skip


async def test_damage_that_stops_the_reading_is_found_all_the_same(
    log: SqliteEventLog, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(home / "orchestrator" / "log.db") as connection:
        connection.execute(
            "UPDATE segments SET text = CAST(? AS TEXT) "
            "WHERE stream = (SELECT id FROM streams WHERE name = 'new')",
            (b"\xff\xfe",),
        )
    connection.close()
    assert await run("verify", "--store") == 1
    out, err = capsys.readouterr()
    assert out == "BROKEN  session new\n"
    assert "cannot be read" in err


async def test_a_store_in_postgres_is_checked(
    log: SqliteEventLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("backup", str(tmp_path / "a")) == 0
    async with shared_postgres().database() as dsn:
        assert await run("restore", str(tmp_path / "a"), "--store", dsn) == 0
        assert await run("verify", "--store", dsn) == 0
        assert "3 events of 2 streams: none broken." in capsys.readouterr().out
        postgres = await PostgresEventLog.open(dsn)
        try:
            async with postgres._database.borrowed() as connection:
                await connection.execute("UPDATE segments SET payload = 'changed'")
        finally:
            await postgres.close()
        assert await run("verify", "--store", dsn) == 1
        assert "BROKEN  session old\nBROKEN  session new\n" in capsys.readouterr().out


async def test_what_was_said_is_for_its_owner_only(
    log: SqliteEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o022)
    try:
        assert await run("backup", str(tmp_path / "a")) == 0
        assert await run("restore", str(tmp_path / "a"), "--store", str(tmp_path / "x.db")) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600


async def test_messages_name_the_store_that_was_meant(
    log: SqliteEventLog, home: Path, tmp_path: Path
) -> None:
    file = home / "orchestrator" / "log.db"
    with pytest.raises(StorageLockedError) as locked:
        await run("retain", "--older-than", "1d", "--yes", "--store", str(file))
    assert str(file) in locked.value.message
    assert "ENSEMBLE_HOME" not in locked.value.message
    await log.close()
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, 1)")
    connection.close()
    with pytest.raises(StorageCorruptError, match="newer") as newer:
        await run("backup", str(tmp_path / "b"))
    assert str(file) in newer.value.message
    assert ".ensemble-" not in newer.value.message
