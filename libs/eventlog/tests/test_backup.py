"""Backup while the log is written to, and restoring: within a kind of store and across."""

import asyncio
import gzip
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from event_log_contract import ONE, TWO, event, payloads

from ensemble.core.errors import (
    EnsembleError,
    FencedOffError,
    StorageCorruptError,
    StorageNotEmptyError,
    StorageUnavailableError,
)
from ensemble.eventlog import (
    Execution,
    PostgresEventLog,
    SqliteEventLog,
    StreamKey,
    backup,
    restore,
)
from ensemble.testkit.postgres import shared_postgres

pytestmark = pytest.mark.contract

EARLIER = Path(__file__).parent / "earlier"
Log = SqliteEventLog | PostgresEventLog
New = Callable[[str], Awaitable[Log]]


@pytest.fixture
async def new(tmp_path: Path) -> AsyncIterator[New]:
    """Opens empty logs of a kind; those that are still open in the end are closed."""
    logs: list[Log] = []
    databases = []

    async def make(kind: str) -> Log:
        if kind == "sqlite":
            logs.append(await SqliteEventLog.open(tmp_path / f"{len(logs)}.db"))
        else:
            server = await asyncio.to_thread(shared_postgres)
            databases.append(server.database())
            logs.append(await PostgresEventLog.open(await databases[-1].__aenter__()))
        return logs[-1]

    yield make
    for log in logs:
        await log.close()
    for database in databases:
        await database.__aexit__(None, None, None)


async def _fill(log: Log) -> None:
    instance = await log.ownership.join("edge-1", "here:1")
    await log.append([event(ONE, b"%d" % n, text=f"wört {n}", owner="ada") for n in range(1100)])
    await log.append(
        [event(TWO, bytes(range(256)), snapshot=b"state", mark="open", own=True)],
        fence=instance.fence,
    )
    done = Execution("r1", "assistant", "small", "completed", 12, 30, 450, Decimal("0.001234"))
    await log.append([event(TWO, execution=done), event(TWO, execution=Execution("r2"))],
                     fence=instance.fence)  # fmt: skip
    for name in ("erased", "dropped"):
        await log.append([event(StreamKey("session", name), b"gone"), event(ONE)])
    await log.erase([StreamKey("session", "erased")])
    await log.append([event(StreamKey("old", "dropped"))])
    assert (await log.drop("old", before=time.time_ns())).streams == 1


async def _state(log: Log) -> object:
    heads = await log.heads("session")
    return (
        heads,
        [await log.read(head.stream, limit=5000) for head in heads],
        [await log.audit(head.stream) for head in heads],
        [await log.snapshot(head.stream) for head in heads],
        await log.audit(StreamKey("old", "dropped")),
    )


PAIRS = [(one, two) for one in ("sqlite", "postgres") for two in ("sqlite", "postgres")]


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_a_restored_log_is_the_same(
    new: New, tmp_path: Path, source: str, target: str
) -> None:
    one, path = await new(source), tmp_path / "log.backup"
    await _fill(one)
    seen: list[tuple[int, int]] = []
    made = await backup(one, path, progress=lambda done, total: seen.append((done, total)))
    assert (made.streams, made.events, made.damaged) == (5, 1107, ())
    assert made.size == path.stat().st_size
    assert seen[-1] == (1107, 1107)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert path.stat().st_mode & 0o777 == 0o600
    two = await new(target)
    seen.clear()
    assert await restore(path, two, progress=lambda done, total: seen.append((done, total))) == made
    assert await _state(two) == await _state(one)
    await asyncio.sleep(0)
    assert seen[-1] == (1107, 1107)
    # It goes on: sequences, positions and fences are not given twice, and the dead hold nothing.
    position = (await two.heads("session"))[0].position
    assert await two.append([event(ONE, expected_seq=1102)]) == [1103]
    assert (await two.heads("session"))[0].position > position
    assert await two.append([event(StreamKey("session", "new"))]) == [1]
    with pytest.raises(FencedOffError):
        await two.append([event(TWO)])
    instance = await two.ownership.join("edge-1")
    assert (instance.incarnation, instance.fence) == (2, 2)
    assert await two.ownership.claim_orphans("session", "open", instance, 9) == [TWO]
    assert await two.append([event(TWO)], fence=instance.fence) == [4]
    assert (await two.audit(ONE)).intact


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_backup_with_a_record_for_each_event_is_restored(
    new: New, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "log.backup"
    path.write_bytes(gzip.compress((EARLIER / "backup_1.jsonl").read_bytes()))
    log = await new(kind)
    restored = await restore(path, log)
    assert (restored.streams, restored.events, restored.damaged) == (3, 7, ())
    events = await log.read(ONE)
    assert [item.payload for item in events] == [b"old %d" % n for n in range(1, 6)]
    assert [item.text for item in events] == [f"wört {n}" for n in range(1, 6)]
    assert [item.schema_version for item in events] == [1, 2, 3, 4, 5]
    found = await log.audit(ONE)
    assert (found.events, found.intact) == (5, True)
    # The chain is the one that was backed up.
    assert found.chain_head.hex().startswith("19f62b4c636c6957")
    assert [item.erased for item in await log.read(StreamKey("session", "three"))] == [True]
    assert await log.append([event(ONE, b"new", expected_seq=5)]) == [6]
    again = tmp_path / "again.backup"
    await backup(log, again)
    assert (await restore(again, await new("sqlite"))).events == 8


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:2], lines[2].replace(b"1,1,1", b"1,1,2"), *lines[3:]],
        lambda lines: [*lines[:2], b'["events",1]\n', *lines[3:]],
        lambda lines: [*lines[:2], *lines[3:]],
    ],
)
async def test_of_a_damaged_earlier_backup_nothing_is_restored(
    new: New, tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    path = tmp_path / "log.backup"
    lines = (EARLIER / "backup_1.jsonl").read_bytes().splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(damage(lines))))
    log = await new("sqlite")
    with pytest.raises(StorageCorruptError):
        await restore(path, log)
    assert await log.heads("session") == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_appends_go_on_and_the_backup_is_of_one_moment(
    new: New, tmp_path: Path, kind: str
) -> None:
    log, path = await new(kind), tmp_path / "log.backup"
    keys = [StreamKey("session", f"s{n}") for n in range(20)]
    for key in keys:
        await log.append([event(key, b"x" * 100) for _ in range(100)])
    running, written = True, 0

    async def write() -> None:
        nonlocal written
        while running:
            # One batch over all streams: a backup has it in all of them or in none.
            await log.append([event(key) for key in keys])
            written += 1

    writing = asyncio.create_task(write())
    while written < 3:
        await asyncio.sleep(0.001)
    before = written
    made = await backup(log, path)
    assert written > before
    running = False
    await writing
    other = await new(kind)
    assert await restore(path, other) == made
    heads = await other.heads("session")
    assert len({head.last_seq for head in heads}) == 1
    assert 100 + before <= heads[0].last_seq <= 100 + written
    for key in keys:
        assert (await other.audit(key)).intact


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_only_an_empty_log_is_restored_into(new: New, tmp_path: Path, kind: str) -> None:
    log, path = await new(kind), tmp_path / "log.backup"
    await log.append([event(ONE, b"a")])
    await backup(log, path)
    await log.append([event(ONE, b"b")])
    with pytest.raises(StorageNotEmptyError):
        await restore(path, log)
    assert await payloads(log, ONE) == [b"a", b"b"]
    joined = await new(kind)
    await joined.ownership.join("edge-1")
    with pytest.raises(StorageNotEmptyError):
        await restore(path, joined)


async def _sqlite_backup(new: New, path: Path) -> None:
    log = await new("sqlite")
    await _fill(log)
    await backup(log, path)


def _cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def _flip(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        return gzip.compress(b"".join(change(gzip.decompress(content).splitlines(keepends=True))))

    return damage


DAMAGE = {
    "cut off": _cut,
    "a bit": _flip,
    "its end": lambda content: content[:-4],
    "nothing": lambda content: b"",
    "no gzip": lambda content: b"this is no backup",
    "no lines": lambda content: gzip.compress(b"neither is this"),
    "another json": lambda content: gzip.compress(b'{"format":"other"}\n'),
    "a newer version": _lines(
        lambda lines: [json.dumps({**json.loads(lines[0]), "version": 99}).encode(), *lines[1:]]
    ),
    "the last line": _lines(lambda lines: lines[:-1]),
    "a line": _lines(lambda lines: lines[:50] + lines[51:]),
    "a line twice": _lines(lambda lines: [*lines[:50], lines[50], *lines[50:]]),
    "a word": _lines(lambda lines: [*lines[:2], lines[2].replace(b"ada", b"eve"), *lines[3:]]),
    "more": _lines(lambda lines: [*lines, lines[1]]),
    "no type": _lines(lambda lines: [lines[0], *lines[2:]]),
    "no stream": _lines(lambda lines: [*lines[:2], *lines[3:]]),
    "no record": _lines(lambda lines: [*lines[:9], b'["segments",1]\n', *lines[9:]]),
    "types": _lines(lambda lines: [*lines[:3], lines[3].replace(b",1,", b',"x",'), *lines[4:]]),
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_of_a_damaged_backup_nothing_is_restored(new: New, tmp_path: Path, kind: str) -> None:
    path, broken = tmp_path / "log.backup", tmp_path / "broken.backup"
    await _sqlite_backup(new, path)
    log = await new(kind)
    for what, damage in DAMAGE.items():
        broken.write_bytes(damage(path.read_bytes()))
        with pytest.raises(StorageCorruptError):
            await restore(broken, log)
        assert await log.heads("session") == [], what
    assert (await restore(path, log)).events == 1107


async def test_bytes_at_random_are_no_backup(new: New, tmp_path: Path) -> None:
    path, broken = tmp_path / "log.backup", tmp_path / "broken.backup"
    await _sqlite_backup(new, path)
    log, chance = await new("sqlite"), random.Random(7)
    whole = gzip.decompress(path.read_bytes())
    for _ in range(60):
        content = bytearray(whole)
        content[chance.randrange(len(content))] = chance.randrange(256)
        broken.write_bytes(gzip.compress(bytes(content), 1))
        if content == whole:
            continue
        try:
            await restore(broken, log)
        except StorageCorruptError:
            assert await log.heads("session") == []
        else:
            # The first line but for its format says nothing about the records.
            assert bytes(content).split(b"\n", 1)[1] == whole.split(b"\n", 1)[1]
            log = await new("sqlite")


async def test_damage_in_the_log_is_told_and_kept_as_it_is(new: New, tmp_path: Path) -> None:
    log, path = await new("sqlite"), tmp_path / "log.backup"
    for key, payload in ((ONE, b"a"), (ONE, b"b"), (TWO, b"c")):
        await log.append([event(key, payload)])
    await log.close()
    import sqlite3

    with sqlite3.connect(tmp_path / "0.db") as database:
        database.execute("UPDATE segments SET payload = x'00' WHERE stream = 1 AND seq = 2")
    database.close()
    log = await SqliteEventLog.open(tmp_path / "0.db")
    made = await backup(log, path)
    assert made.damaged == (ONE,)
    other = await new("postgres")
    assert (await restore(path, other)).damaged == (ONE,)
    assert (await other.audit(ONE)).first_bad_seq == 2
    assert await payloads(other, TWO) == [b"c"]
    await log.close()


async def test_a_backup_that_fails_leaves_the_one_before(new: New, tmp_path: Path) -> None:
    log, path = await new("sqlite"), tmp_path / "log.backup"
    await log.append([event(ONE)])
    await backup(log, path)
    before = path.read_bytes()
    await log.append([event(ONE) for _ in range(2000)])

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        await backup(log, path, progress=stop)
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir() if "backup" in item.name) == [path.name]
    assert (await backup(log, path)).events == 2001


@pytest.mark.parametrize("name", ["absent/log.backup", "."])
async def test_a_place_that_cannot_be_used_is_said(new: New, tmp_path: Path, name: str) -> None:
    log = await new("sqlite")
    await log.append([event(ONE)])
    with pytest.raises(StorageUnavailableError):
        await backup(log, tmp_path / name)
    empty = await new("sqlite")
    with pytest.raises(EnsembleError) as caught:
        await restore(tmp_path / name, empty)
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
