"""The Postgres log: the contract, and several processes on one database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest
from event_log_contract import ONE, TWO, EventLogContract, event, payloads
from ownership_contract import OwnershipContract
from retention_contract import RetentionContract
from segments_contract import SegmentsContract

from ensemble.core.errors import ConflictError, StorageCorruptError, StorageUnavailableError
from ensemble.eventlog import EventLog, Ownership, PostgresEventLog, StreamKey, postgres_listener
from ensemble.eventlog.postgres_database import Database

pytestmark = pytest.mark.contract


@pytest.fixture
async def log(dsn: str) -> AsyncIterator[PostgresEventLog]:
    opened = await PostgresEventLog.open(dsn)
    yield opened
    await opened.close()


@pytest.fixture
def ownership(log: PostgresEventLog) -> Ownership:
    return log.ownership


async def run(dsn: str, sql: str) -> Sequence[Sequence[Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


class _BehindTheLog:
    @pytest.fixture(autouse=True)
    def _database(self, dsn: str) -> None:
        self.dsn = dsn

    async def tamper(self, log: EventLog, sql: str) -> None:
        await run(self.dsn, sql)

    async def query(self, log: EventLog, sql: str) -> Sequence[Sequence[Any]]:
        return await run(self.dsn, sql)


class TestPostgresEventLog(_BehindTheLog, EventLogContract):
    """Every behaviour of the port."""


class TestPostgresRetention(_BehindTheLog, RetentionContract):
    """Every behaviour of a retention."""


class TestPostgresSegments(_BehindTheLog, SegmentsContract):
    """Whatever shares a row."""


class TestPostgresOwnership(OwnershipContract):
    """Every behaviour of the port."""


async def test_a_log_survives_its_closing(dsn: str) -> None:
    for number in range(3):
        log = await PostgresEventLog.open(dsn)
        assert await log.append([event(ONE)]) == [number + 1]
        await log.close()


async def test_more_appends_than_the_queue_holds_all_get_through(dsn: str) -> None:
    log = await PostgresEventLog.open(dsn, queue_limit=4)
    await asyncio.gather(*(log.append([event(ONE)]) for _ in range(100)))
    assert len(await log.read(ONE)) == 100
    await log.close()


async def test_two_logs_on_one_database_write_one_chain(dsn: str, log: PostgresEventLog) -> None:
    other = await PostgresEventLog.open(dsn)
    keys = [StreamKey("session", f"s{n}") for n in range(5)]

    async def write(to: PostgresEventLog) -> None:
        for _ in range(20):
            await asyncio.gather(*(to.append([event(key)]) for key in keys))

    await asyncio.gather(write(log), write(other))
    for key in keys:
        found = await log.audit(key)
        assert (found.events, found.intact) == (40, True)
    await other.close()


async def test_of_two_logs_that_expect_the_same_one_wins(dsn: str, log: PostgresEventLog) -> None:
    other = await PostgresEventLog.open(dsn)
    for seq in range(20):
        results = await asyncio.gather(
            log.append([event(ONE, expected_seq=seq)]),
            other.append([event(ONE, expected_seq=seq)]),
            return_exceptions=True,
        )
        assert results.count([seq + 1]) == 1
        assert sum(isinstance(result, ConflictError) for result in results) == 1
    await other.close()


async def test_a_tail_follows_what_another_log_writes(dsn: str, log: PostgresEventLog) -> None:
    other = await PostgresEventLog.open(dsn)
    total = 600

    async def follow() -> list[int]:
        seqs = []
        async with aclosing(log.tail(ONE)) as events:
            async for item in events:
                seqs.append(item.seq)
                if item.seq == total:
                    break
        return seqs

    following = asyncio.create_task(follow())
    for number in range(0, total, 3):
        await (other, log)[number % 2].append([event(ONE) for _ in range(3)])
    assert await asyncio.wait_for(following, 30) == list(range(1, total + 1))
    await other.close()


async def test_notifications_do_without_the_poll_also_that_of_the_last_append(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_listener, "_POLL_S", 1000.0)
    log, other = await PostgresEventLog.open(dsn), await PostgresEventLog.open(dsn)
    async with aclosing(log.tail(ONE)) as events:
        following = asyncio.ensure_future(anext(events))
        while await _listening(dsn) != 2:
            await asyncio.sleep(0.01)
        await other.append([event(ONE)])
        assert (await asyncio.wait_for(following, 20)).seq == 1
        following = asyncio.ensure_future(anext(events))
        await other.append([event(TWO), event(ONE)])
        await other.close()
        assert (await asyncio.wait_for(following, 20)).seq == 2
    await log.close()


async def _listening(dsn: str) -> int:
    ((count,),) = await run(
        dsn,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND (query ILIKE 'LISTEN%' OR query LIKE '%pg_notify%' "
        "OR query LIKE '%s.last_seq > n.seq%') AND pid <> pg_backend_pid()",
    )
    return int(count)


async def test_the_poll_does_without_notifications(
    dsn: str, log: PostgresEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object) -> None:
        pass

    monkeypatch.setattr(postgres_listener.PostgresListener, "_send", lose)
    other = await PostgresEventLog.open(dsn)
    async with aclosing(log.tail(ONE)) as events:
        following = asyncio.ensure_future(anext(events))
        await other.append([event(ONE)])
        assert (await asyncio.wait_for(following, 20)).seq == 1
    await other.close()


async def test_who_is_alone_tells_nobody_until_somebody_listens(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0
    send = postgres_listener.PostgresListener._send

    async def count(self: postgres_listener.PostgresListener, connection: object) -> None:
        nonlocal told
        told += 1
        await send(self, connection)

    monkeypatch.setattr(postgres_listener.PostgresListener, "_send", count)
    monkeypatch.setattr(postgres_listener, "_POLL_S", 0.05)
    log = await PostgresEventLog.open(dsn)
    for _ in range(20):
        await log.append([event(TWO)])
        await asyncio.sleep(0.02)
    assert not told
    monkeypatch.setattr(postgres_listener, "_POLL_S", 1000.0)
    other = await PostgresEventLog.open(dsn)
    async with aclosing(other.tail(ONE)) as events:
        following = asyncio.ensure_future(anext(events))
        while not told:
            await log.append([event(ONE)])
            await asyncio.sleep(0.02)
        assert (await asyncio.wait_for(following, 20)).seq >= 1
    await other.close()
    await log.close()


async def test_an_erasure_by_another_log_is_seen(dsn: str, log: PostgresEventLog) -> None:
    other = await PostgresEventLog.open(dsn)
    await log.append([event(ONE, b"a")])
    await other.erase([ONE])
    await log.append([event(ONE, b"b")])
    assert await payloads(other, ONE) == [b"", b"b"]
    assert (await other.audit(ONE)).intact
    await other.close()


async def test_many_open_an_empty_database_at_once(dsn: str) -> None:
    logs = await asyncio.gather(*(PostgresEventLog.open(dsn) for _ in range(5)))
    assert [await log.append([event(ONE)]) for log in logs] == [[n] for n in range(1, 6)]
    for log in logs:
        await log.close()
    assert [row[0] for row in await run(dsn, "SELECT version FROM schema_version")] == [1, 2, 3, 4]


async def test_a_newer_format_is_refused(dsn: str, log: PostgresEventLog) -> None:
    await run(dsn, "INSERT INTO schema_version VALUES (999, 0)")
    with pytest.raises(StorageCorruptError, match="newer"):
        await PostgresEventLog.open(dsn)


async def test_a_server_that_is_not_there_is_unavailable_and_no_password_is_told() -> None:
    with pytest.raises(StorageUnavailableError) as caught:
        await PostgresEventLog.open("postgresql://ada:hush@127.0.0.1:1/log")
    assert "log at 127.0.0.1" in caught.value.message
    assert "hush" not in str(caught.value) + caught.value.message


async def test_commits_wait_for_the_disk_whatever_the_database_says(dsn: str) -> None:
    await run(dsn, f"ALTER DATABASE {dsn.split('/')[3].split('?')[0]} SET synchronous_commit = off")
    connection = await Database(dsn).connect()
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()


async def test_a_changed_payload_is_not_taken_for_what_was_said(
    dsn: str, log: PostgresEventLog
) -> None:
    for n in range(5):
        await log.append([event(ONE, b"%d" % n)])
    await run(dsn, "UPDATE segments SET payload = 'forged' WHERE seq = 3")
    assert [item.seq for item in await log.read(ONE, limit=2)] == [1, 2]
    assert [item.seq for item in await log.read(ONE, after=3)] == [4, 5]
    with pytest.raises(StorageCorruptError, match="event 3"):
        await log.read(ONE, after=1)
