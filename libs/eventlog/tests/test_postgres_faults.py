"""The Postgres log on a server that is full, damaged, stands still or whose answers are lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from event_log_contract import ONE, TWO, event, payloads
from lossy_proxy import LossyProxy

from ensemble.core.errors import (
    StorageCorruptError,
    StorageFullError,
    StorageUnavailableError,
)
from ensemble.eventlog import PostgresEventLog, StreamKey, postgres_database
from ensemble.testkit.postgres import PostgresServer

pytestmark = pytest.mark.contract

_LIMIT_S = 1.0
"""What the tests allow a statement."""


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    server = await asyncio.to_thread(PostgresServer, durable=False, initdb=("--data-checksums",))
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        await asyncio.to_thread(server.remove)


@pytest.fixture
async def log(server: PostgresServer) -> AsyncIterator[PostgresEventLog]:
    opened = await PostgresEventLog.open(server.dsn("postgres"))
    yield opened
    await opened.close()


async def run(server: PostgresServer, sql: str) -> object:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_a_full_disk_is_said_and_survived(
    server: PostgresServer, log: PostgresEventLog
) -> None:
    await log.append([event(ONE, b"before")])
    # What the server says when a table cannot grow.
    await run(
        server,
        """
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF length(new.payload) > 100 THEN
                RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
            END IF;
            RETURN new;
        END $$;
        """,
    )
    await run(
        server,
        "CREATE TRIGGER full_disk BEFORE INSERT ON segments FOR EACH ROW "
        "EXECUTE FUNCTION full_disk()",
    )
    results = await asyncio.gather(
        log.append([event(ONE, b"small")]),
        log.append([event(TWO, b"x" * 200)]),
        log.append([event(ONE, b"small too"), event(TWO, b"x" * 200)]),
        log.append([event(TWO, b"small")]),
        return_exceptions=True,
    )
    # One that is too large for the disk does not take its neighbours along.
    assert (results[0], results[3]) == ([2], [1])
    for result in results[1:3]:
        assert isinstance(result, StorageFullError)
        assert result.retryable
    await run(server, "DROP TRIGGER full_disk ON segments")
    assert await log.append([event(TWO, b"x" * 200)]) == [2]
    assert await payloads(log, ONE) == [b"before", b"small"]
    assert (await log.audit(ONE)).intact
    assert (await log.audit(TWO)).intact


async def test_a_damaged_page_is_corruption_and_the_rest_goes_on(server: PostgresServer) -> None:
    log = await PostgresEventLog.open(server.dsn("postgres"))
    words = b"the words in the damaged page"
    await log.append([event(ONE, words)])
    for _ in range(40):
        await log.append([event(ONE, b"x" * 1000)])
    await log.append([event(TWO, b"elsewhere")])
    await run(server, "CHECKPOINT")
    name = await run(server, "SELECT pg_relation_filepath('segments')")
    await log.close()
    await asyncio.to_thread(server.stop)
    path = server.data / str(name)
    content = bytearray(path.read_bytes())
    content[content.index(words)] ^= 0x10
    path.write_bytes(content)
    await asyncio.to_thread(server.start)
    log = await PostgresEventLog.open(server.dsn("postgres"))
    for reading in (log.read(ONE), log.audit(ONE), anext(log.tail(ONE))):
        with pytest.raises(StorageCorruptError) as caught:
            await reading
        assert not caught.value.retryable
        assert caught.value.metadata["sqlstate"] == "XX001"
    assert await payloads(log, TWO) == [b"elsewhere"]
    assert await log.append([event(TWO)]) == [2]
    assert (await log.audit(TWO)).intact
    await log.close()


async def test_a_server_that_stands_still_is_unavailable_in_time(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_database, "_STATEMENT_S", _LIMIT_S)
    log = await PostgresEventLog.open(server.dsn("postgres"))
    instance = await log.ownership.join("edge-1")
    await log.append([event(ONE)])
    server.freeze()
    try:
        for _ in range(2):
            began = time.monotonic()
            results = await asyncio.gather(
                log.append([event(ONE)]),
                log.append([event(TWO)]),
                log.read(ONE),
                log.audit(ONE),
                log.ownership.beat(instance),
                log.ownership.claim_orphans("session", "open", instance, 9),
                log.drop("session", before=time.time_ns()),
                return_exceptions=True,
            )
            for result in results:
                assert isinstance(result, StorageUnavailableError)
                assert result.retryable
            # Far less than without a limit; the machine may be slow.
            assert time.monotonic() - began < 10 * _LIMIT_S
    finally:
        server.thaw()
    # What the server had received before may still be written: the head tells.
    head = await log.head(ONE)
    assert head is not None
    assert head.last_seq in (1, 2)
    assert await log.append([event(ONE)]) == [head.last_seq + 1]
    await log.ownership.beat(instance)
    assert (await log.audit(ONE)).intact
    await log.close()


async def test_what_was_claimed_when_the_answer_was_lost_is_told_by_the_next_call(
    server: PostgresServer, log: PostgresEventLog, tmp_path: Path
) -> None:
    keys = [StreamKey("session", f"s{n}") for n in range(3)]
    for key in keys:
        await log.append([event(key, mark="open")])
    async with LossyProxy(server.folder, tmp_path) as proxy:
        behind = await PostgresEventLog.open(proxy.dsn("postgres"))
        instance = await behind.ownership.join("edge-1")
        proxy.lose_the_answer_to(b"COMMIT")
        with pytest.raises(StorageUnavailableError) as caught:
            await behind.ownership.claim_orphans("session", "open", instance, 2)
        assert caught.value.retryable
        assert await log.ownership.holder(keys[0]) == instance
        assert await behind.ownership.claim_orphans("session", "open", instance, 2) == keys[:2]
        assert await behind.ownership.claim_orphans("session", "open", instance, 2) == keys[2:]
        assert await behind.ownership.claim_orphans("session", "open", instance, 2) == []
        await behind.close()


async def test_nothing_is_claimed_if_the_connection_breaks_before_the_end(
    server: PostgresServer, log: PostgresEventLog, tmp_path: Path
) -> None:
    await log.append([event(ONE, mark="open")])
    async with LossyProxy(server.folder, tmp_path) as proxy:
        behind = await PostgresEventLog.open(proxy.dsn("postgres"))
        instance = await behind.ownership.join("edge-1")
        proxy.lose_the_answer_to(b"BEGIN")
        with pytest.raises(StorageUnavailableError):
            await behind.ownership.claim_orphans("session", "open", instance, 2)
        assert await log.ownership.holder(ONE) is None
        assert await behind.ownership.claim_orphans("session", "open", instance, 2) == [ONE]
        await behind.close()


async def test_an_append_whose_answer_was_lost_fails_and_the_head_tells(
    server: PostgresServer, tmp_path: Path
) -> None:
    async with LossyProxy(server.folder, tmp_path) as proxy:
        log = await PostgresEventLog.open(proxy.dsn("postgres"))
        await log.append([event(ONE)])
        proxy.lose_the_answer_to(b"the words")
        with pytest.raises(StorageUnavailableError):
            await log.append([event(ONE, b"the words")])
        head = await log.head(ONE)
        assert head is not None
        assert head.last_seq == 2
        assert await log.append([event(ONE, expected_seq=2)]) == [3]
        await log.close()
