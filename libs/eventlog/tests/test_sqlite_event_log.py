"""The SQLite log: the contract, and what can happen to its file."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from event_log_contract import ONE, TWO, EventLogContract, event, payloads
from retention_contract import RetentionContract
from segments_contract import SegmentsContract

from ensemble.core.errors import (
    StorageCorruptError,
    StorageFullError,
    StorageLockedError,
    StorageUnavailableError,
)
from ensemble.eventlog import EventLog, SqliteEventLog, StreamKey

pytestmark = pytest.mark.contract


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteEventLog]:
    opened = await SqliteEventLog.open(tmp_path / "log.db")
    yield opened
    await opened.close()


class _BehindTheLog:
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "log.db"

    async def tamper(self, log: EventLog, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(sql)

    async def query(self, log: EventLog, sql: str) -> Sequence[Sequence[Any]]:
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute(sql).fetchall()


class TestSqliteEventLog(_BehindTheLog, EventLogContract):
    """Every behaviour of the port."""


class TestSqliteRetention(_BehindTheLog, RetentionContract):
    """Every behaviour of a retention."""


class TestSqliteSegments(_BehindTheLog, SegmentsContract):
    """Whatever shares a row."""


async def test_a_log_survives_its_closing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.db"
    for number in range(3):
        log = await SqliteEventLog.open(path)
        assert await log.append([event(ONE)]) == [number + 1]
        await log.close()


async def test_more_appends_than_the_queue_holds_all_get_through(tmp_path: Path) -> None:
    log = await SqliteEventLog.open(tmp_path / "log.db", queue_limit=4)
    await asyncio.gather(*(log.append([event(ONE)]) for _ in range(100)))
    assert len(await log.read(ONE)) == 100
    await log.close()


async def test_a_second_opener_is_told_who_holds_it(tmp_path: Path) -> None:
    log = await SqliteEventLog.open(tmp_path / "log.db")
    with pytest.raises(StorageLockedError) as caught:
        await SqliteEventLog.open(tmp_path / "log.db")
    assert str(os.getpid()) in caught.value.message
    assert str(tmp_path) in caught.value.message
    await log.close()
    again = await SqliteEventLog.open(tmp_path / "log.db")
    await again.close()


async def _filled(path: Path, events: int = 200) -> None:
    log = await SqliteEventLog.open(path)
    await log.append([event(ONE, b"x" * 500) for _ in range(events)])
    await log.close()


@pytest.mark.parametrize("content", [b"\x00" * 9000, b"this is no database" * 500, b"x"])
async def test_garbage_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(StorageCorruptError, match=r"log\.db"):
        await SqliteEventLog.open(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("keep", [50, 100, 5000, 60_000])
async def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "log.db"
    await _filled(path)
    os.truncate(path, keep)
    with pytest.raises(StorageCorruptError, match=r"log\.db"):
        await SqliteEventLog.open(path)


async def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await _filled(path)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 4))
    with pytest.raises(StorageCorruptError, match="Move it away"):
        await SqliteEventLog.open(path)


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE things (a)")
    other.commit()
    other.close()
    with pytest.raises(StorageCorruptError, match="another program"):
        await SqliteEventLog.open(path)


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await _filled(path)
    database = sqlite3.connect(path)
    database.execute("INSERT INTO schema_version VALUES (999, 0)")
    database.commit()
    database.close()
    with pytest.raises(StorageCorruptError, match="newer"):
        await SqliteEventLog.open(path)


async def test_a_folder_in_its_place_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "log.db").mkdir()
    with pytest.raises(StorageUnavailableError, match=r"log\.db"):
        await SqliteEventLog.open(tmp_path / "log.db")


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailableError, match=r"log\.db"):
        await SqliteEventLog.open(tmp_path / "file" / "log.db")


_FILL_THE_DISK = """
import asyncio, resource, sys
from pathlib import Path
from ensemble.core.errors import StorageFullError
from ensemble.eventlog import Append, SqliteEventLog, StreamKey

ONE, TWO = StreamKey("s", "one"), StreamKey("s", "two")

async def main():
    log = await SqliteEventLog.open(Path(sys.argv[1]))
    # The file may grow to what a small disk would hold.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
    kept = 0
    try:
        while True:
            await log.append([Append(ONE, "t", b"x" * 100_000)])
            kept += 1
    except StorageFullError as exc:
        assert "log.db" in exc.message, exc.message
    results = await asyncio.gather(
        log.append([Append(ONE, "t", b"x" * 2_000_000)]),
        log.append([Append(TWO, "t", b"x" * 2_000_000)]),
        return_exceptions=True,
    )
    assert all(isinstance(result, StorageFullError) for result in results), results
    assert len(await log.read(ONE)) == kept
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await log.append([Append(ONE, "t", b"x" * 2_000_000)]) == [kept + 1]
    assert await log.append([Append(TWO, "t", b"y")]) == [1]
    await log.close()
    log = await SqliteEventLog.open(Path(sys.argv[1]))
    assert len(await log.read(ONE)) == kept + 1
    await log.close()
    print("kept", kept)

asyncio.run(main())
"""


async def test_a_full_disk_is_said_and_survived(tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _FILL_THE_DISK, str(tmp_path / "log.db")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("kept ")


_WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from ensemble.eventlog import Append, SqliteEventLog, StreamKey

async def one(log, name):
    n = 0
    while True:
        n += 1
        (seq,) = await log.append([Append(StreamKey("s", name), "t", str(n).encode())])
        print(name, seq, flush=True)

async def main():
    log = await SqliteEventLog.open(Path(sys.argv[1]))
    await asyncio.gather(*(one(log, f"w{k}") for k in range(8)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    acknowledged: dict[str, int] = {}
    for _ in range(3):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITE_FOR_EVER, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(200):
            name, seq = (await child.stdout.readline()).split()
            acknowledged[name.decode()] = int(seq)
        child.send_signal(signal.SIGKILL)
        for line in (await child.stdout.read()).splitlines():
            if len(parts := line.split()) == 2 and line.endswith(parts[1]):
                acknowledged[parts[0].decode()] = max(
                    acknowledged.get(parts[0].decode(), 0), int(parts[1])
                )
        await child.wait()
    log = await SqliteEventLog.open(path)
    for head in await log.heads("s"):
        assert head.last_seq >= acknowledged[head.stream.name]
        events = await log.read(head.stream, limit=100_000)
        assert [item.seq for item in events] == list(range(1, head.last_seq + 1))
    await log.close()


async def test_a_stream_stands_where_its_last_event_does(
    log: SqliteEventLog, tmp_path: Path
) -> None:
    keys = [StreamKey("session", name) for name in "abc"]
    await asyncio.gather(
        *(log.append([event(key, snapshot=b"s") for key in (*keys, keys[n])]) for n in range(3))
    )
    with closing(sqlite3.connect(tmp_path / "log.db")) as file:
        rows = file.execute(
            "SELECT s.position, max(e.position) FROM streams s JOIN segments e ON e.stream = s.id "
            "GROUP BY s.id"
        ).fetchall()
    assert len(rows) == 3
    assert all(position == last for position, last in rows)


async def test_a_commit_makes_no_file_longer(log: SqliteEventLog, tmp_path: Path) -> None:
    wal = tmp_path / "log.db-wal"
    length = wal.stat().st_size
    assert length > 1024 * 1024
    for _ in range(300):
        await log.append([event(ONE, b"x" * 20_000)])
    assert wal.stat().st_size == length
    await log.erase([ONE])
    await log.append([event(ONE)])
    assert wal.stat().st_size == length


async def test_a_write_ahead_log_that_cannot_be_long_is_no_failure(
    log: SqliteEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    await log.append([event(ONE)])
    await log.erase([ONE])
    assert await log.append([event(ONE)]) == [2]


async def test_two_logs_do_not_see_each_other(log: SqliteEventLog, tmp_path: Path) -> None:
    other = await SqliteEventLog.open(tmp_path / "other.db")
    await log.append([event(TWO, b"mine")])
    assert await payloads(other, TWO) == []
    await other.close()


def test_disk_errors_are_told_apart(tmp_path: Path) -> None:
    from ensemble.eventlog.sqlite_file import translate

    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert isinstance(translate(full, tmp_path / "a"), StorageFullError)
    torn = sqlite3.DatabaseError("malformed")
    torn.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    assert isinstance(translate(torn, tmp_path / "a"), StorageCorruptError)
    assert isinstance(translate(OSError(5, "I/O"), tmp_path / "a"), StorageUnavailableError)


async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        log = await SqliteEventLog.open(tmp_path / "log.db")
        try:
            await log.append([event(ONE, b"x")])
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
        finally:
            await log.close()
    finally:
        os.umask(before)
    assert {"log.db", "log.db-wal", "log.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}
