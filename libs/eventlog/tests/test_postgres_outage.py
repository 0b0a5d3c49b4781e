"""The Postgres log while its server is killed, comes back, or stands still."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import asyncpg
import pytest
from event_log_contract import ONE, TWO, event

from ensemble.core.errors import StorageUnavailableError
from ensemble.eventlog import PostgresEventLog, StreamKey
from ensemble.eventlog.postgres_database import Database, lost
from ensemble.testkit.postgres import PostgresServer

pytestmark = pytest.mark.contract


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    server = await asyncio.to_thread(PostgresServer)
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.remove)


async def test_what_was_acknowledged_survives_a_killed_server(server: PostgresServer) -> None:
    log = await PostgresEventLog.open(server.dsn("postgres"))
    keys = [StreamKey("s", f"w{n}") for n in range(8)]
    acknowledged = dict.fromkeys(keys, 0)
    unknown = dict.fromkeys(keys, 0)
    running = True

    async def write(key: StreamKey) -> None:
        number = 0
        while running:
            number += 1
            try:
                (seq,) = await log.append([event(key, b"%d" % number)])
            except StorageUnavailableError as exc:
                assert exc.retryable
                unknown[key] += 1
            else:
                assert seq > acknowledged[key]
                acknowledged[key] = seq

    async def more_from_all() -> None:
        before = dict(acknowledged)
        while any(acknowledged[key] < before[key] + 10 for key in keys):
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(write(key))
        for _ in range(3):
            await more_from_all()
            server.kill()
            await asyncio.to_thread(server.start)
        await more_from_all()
        running = False
    for key in keys:
        head = await log.head(key)
        assert head is not None
        assert acknowledged[key] <= head.last_seq <= acknowledged[key] + unknown[key]
        events = await log.read(key, limit=100_000)
        assert [item.seq for item in events] == list(range(1, head.last_seq + 1))
        numbers = [int(item.payload) for item in events]
        assert numbers == sorted(set(numbers))
        assert (await log.audit(key)).intact
    await log.close()


async def test_without_a_server_an_append_fails_in_time_and_works_again_later(
    server: PostgresServer,
) -> None:
    log = await PostgresEventLog.open(server.dsn("postgres"))
    await log.append([event(ONE)])
    server.kill()
    began = time.monotonic()
    results = await asyncio.gather(
        *(log.append([event(TWO)]) for _ in range(600)), log.read(ONE), return_exceptions=True
    )
    assert all(isinstance(result, StorageUnavailableError) for result in results)
    assert time.monotonic() - began < 30
    await asyncio.to_thread(server.start)
    assert await log.append([event(ONE, expected_seq=1)]) == [2]
    assert [item.seq for item in await log.read(ONE)] == [1, 2]
    await log.close()


async def test_a_connection_that_the_server_gave_up_is_unavailable() -> None:
    database = Database("postgresql:///log")
    # What asyncpg says between the server's last words and the end of the connection.
    given_up = asyncpg.InternalClientError("cannot switch to state 12")
    with pytest.raises(StorageUnavailableError), database.errors():
        raise given_up
    assert lost(given_up)


async def test_a_restart_in_between_is_not_noticed(server: PostgresServer) -> None:
    log = await PostgresEventLog.open(server.dsn("postgres"))
    await log.append([event(ONE)])
    server.kill()
    await asyncio.to_thread(server.start)
    assert await log.append([event(ONE)]) == [2]
    assert [item.seq for item in await log.read(ONE)] == [1, 2]
    await log.close()


async def test_a_tail_goes_on_after_the_listening_connection_broke(server: PostgresServer) -> None:
    dsn = server.dsn("postgres")
    log, other = await PostgresEventLog.open(dsn), await PostgresEventLog.open(dsn)
    async with aclosing(log.tail(ONE)) as events:
        await other.append([event(ONE)])
        assert (await asyncio.wait_for(anext(events), 20)).seq == 1
        waiting = asyncio.ensure_future(anext(events))
        connection = await asyncpg.connect(dsn)
        # Only those that listen: an append whose connection breaks may fail (another test).
        # Such a connection may still be on its way, or have polled or told since it listened.
        async with asyncio.timeout(20):
            while not await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'ensemble' AND (query ILIKE 'LISTEN%' "
                "OR query LIKE '%pg_notify%' OR query LIKE '%AS n (kind, name, seq)%')"
            ):
                await asyncio.sleep(0.05)
        await connection.close()
        assert await other.append([event(ONE)]) == [2]
        assert (await asyncio.wait_for(waiting, 20)).seq == 2
    await log.close()
    await other.close()
