"""Damage to the file of a log, and a second process on it: an error or a clean recovery."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from event_log_contract import ONE, TWO, event, payloads

from ensemble.core.errors import StorageCorruptError, StorageLockedError
from ensemble.eventlog import Append, SqliteEventLog

pytestmark = pytest.mark.contract


async def _crashed(folder: Path) -> Path:
    """Return a log of 40 appends that was never closed: most of it is in its -wal file."""
    running = await SqliteEventLog.open(folder / "running.db")
    for number in range(40):
        await running.append([event(ONE, b"%d" % number * 50), event(TWO, b"%d" % number)])
    path = folder / "log.db"
    for suffix in ("", "-wal"):
        shutil.copyfile(folder / f"running.db{suffix}", folder / f"log.db{suffix}")
    await running.close()
    return path


async def _is_a_beginning(path: Path) -> int:
    """Check that ``path`` holds the first of the appends, each whole; return how many."""
    log = await SqliteEventLog.open(path)
    one, two = await payloads(log, ONE), await payloads(log, TWO)
    assert one == [b"%d" % number * 50 for number in range(len(one))]
    assert two == [b"%d" % number for number in range(len(one))]
    for key in (ONE, TWO):
        assert (await log.audit(key)).intact
        assert await log.append([event(key)]) == [len(one) + 1]
    await log.close()
    return len(one)


async def test_a_log_that_was_not_closed_is_whole(tmp_path: Path) -> None:
    assert await _is_a_beginning(await _crashed(tmp_path)) == 40


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
async def test_a_truncated_wal_gives_a_beginning(tmp_path: Path, share: float) -> None:
    path = await _crashed(tmp_path)
    wal = path.with_name("log.db-wal")
    with wal.open("r+b") as file:
        file.truncate(int(_written(wal) * share))
    assert 0 < await _is_a_beginning(path) < 40


async def test_a_flipped_bit_in_the_wal_gives_a_beginning(tmp_path: Path) -> None:
    path = await _crashed(tmp_path)
    wal = path.with_name("log.db-wal")
    _flip(wal, _written(wal) // 2)
    assert 0 < await _is_a_beginning(path) < 40


def _written(wal: Path) -> int:
    """Return how much of a write-ahead log says something."""
    return len(wal.read_bytes().rstrip(b"\0"))


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def _in_text(content: bytes) -> int:
    return content.index(b"spoken word 2")


def _in_payload(content: bytes) -> int:
    return content.index(b"payload of 2")


def _in_text_so_that_it_is_no_text(content: bytes) -> int:
    return content.index("é2".encode())


@pytest.mark.parametrize("where", [_in_text, _in_payload, _in_text_so_that_it_is_no_text])
async def test_a_flipped_bit_is_never_taken_for_what_was_said(
    tmp_path: Path, where: Callable[[bytes], int]
) -> None:
    path = tmp_path / "log.db"
    log = await SqliteEventLog.open(path)
    for n in range(1, 4):
        await log.append([event(ONE, b"payload of %d" % n, text=f"spoken word {n} é{n}")])
    await log.append([event(TWO, b"other")])
    await log.close()
    _flip(path, where(path.read_bytes()))
    log = await SqliteEventLog.open(path)
    with pytest.raises(StorageCorruptError, match=r"log\.db"):
        await log.read(ONE)
    with pytest.raises(StorageCorruptError):
        async for item in log.tail(ONE):
            assert item.seq < 2
    found = await log.audit(ONE)
    assert (found.intact, found.first_bad_seq, found.events) == (False, 2, 1)
    assert await payloads(log, TWO) == [b"other"]
    assert (await log.audit(TWO)).intact
    assert [item.seq for item in await log.read(ONE, limit=1)] == [1]
    assert [item.seq for item in await log.read(ONE, after=2)] == [3]
    await log.close()


async def test_damage_is_named_without_what_somebody_said(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = await SqliteEventLog.open(path)
    await log.append([Append(ONE, "said", b"", text="the secret")])
    await log.close()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE segments SET text = CAST(x'746865207365637265ff' AS TEXT)")
    log = await SqliteEventLog.open(path)
    with pytest.raises(StorageCorruptError) as caught:
        await log.read(ONE)
    await log.close()
    assert "secre" not in str(caught.value)


async def test_a_damaged_snapshot_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = await SqliteEventLog.open(path)
    await log.append([event(ONE, snapshot=b"state after one")])
    await log.close()
    _flip(path, path.read_bytes().index(b"state after one"))
    log = await SqliteEventLog.open(path)
    assert await log.snapshot(ONE) is None
    await log.append([event(ONE, snapshot=b"state after two")])
    found = await log.snapshot(ONE)
    assert found is not None
    assert (found.seq, found.payload) == (2, b"state after two")
    await log.close()


async def test_an_erasure_waits_for_a_reader_of_the_wal(tmp_path: Path) -> None:
    log = await SqliteEventLog.open(tmp_path / "log.db")
    await log.append([event(ONE, b"the secret of ada")])
    reader = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM segments").fetchall()
    erasing = asyncio.create_task(log.erase([ONE]))
    while not (await log.read(ONE))[0].erased:
        await asyncio.sleep(0.01)
    assert await log.append([event(TWO)]) == [1]
    reader.close()
    assert (await erasing).events == 1
    assert b"the secret of ada" not in (tmp_path / "log.db-wal").read_bytes()
    await log.close()


async def test_what_was_erased_is_nowhere_in_the_files(tmp_path: Path) -> None:
    log = await SqliteEventLog.open(tmp_path / "log.db")
    secret = b"the secret of ada"
    for _ in range(50):
        await log.append(
            [event(ONE, secret, text=secret.decode(), snapshot=secret * 300, owner="ada-lovelace")]
        )
    await log.append([event(TWO, b"kept of bob")])
    files = [tmp_path / "log.db", tmp_path / "log.db-wal"]
    assert any(secret in file.read_bytes() for file in files)
    await log.erase([ONE])
    for file in files:
        assert secret not in file.read_bytes()
        assert b"ada-lovelace" not in file.read_bytes()
    await log.close()
    assert secret not in files[0].read_bytes()
    assert b"kept of bob" in files[0].read_bytes()


_OPEN = """
import asyncio, sys
from pathlib import Path
from ensemble.core.errors import StorageLockedError
from ensemble.eventlog import Append, SqliteEventLog

try:
    asyncio.run(SqliteEventLog.open(Path(sys.argv[1])))
except StorageLockedError as exc:
    print(exc.message)
"""


async def test_a_second_process_is_refused_while_the_first_goes_on(tmp_path: Path) -> None:
    log = await SqliteEventLog.open(tmp_path / "log.db")
    await log.append([event(ONE)])
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _OPEN, str(tmp_path / "log.db")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "already uses" in done.stdout, done.stderr
    assert await log.append([event(ONE)]) == [2]
    with pytest.raises(StorageLockedError):
        await SqliteEventLog.open(tmp_path / "log.db")
    await log.close()
