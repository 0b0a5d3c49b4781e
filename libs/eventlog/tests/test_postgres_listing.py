"""Streams in the order of their last change, though no index has what changes with an append."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from event_log_contract import ONE, event

from ensemble.eventlog import Ownership, PostgresEventLog, StreamKey, postgres_ownership, queries
from ensemble.eventlog.postgres_database import Database

pytestmark = pytest.mark.contract

ERA = 1 << queries.ERA_BITS
KEYS = [StreamKey("session", f"s{n}") for n in range(9)]


@pytest.fixture
async def log(dsn: str) -> AsyncIterator[PostgresEventLog]:
    opened = await PostgresEventLog.open(dsn)
    yield opened
    await opened.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Any]:
    """A connection as the log has them."""
    connection = await Database(dsn).connect()
    yield connection
    await connection.close()


async def _spread(log: PostgresEventLog, database: Any, **rest: Any) -> None:
    """Change three streams in each of three eras, around where the next one begins."""
    for number, key in enumerate(KEYS):
        await database.execute(
            f"SELECT setval('segments_position_seq', {(number // 3 + 1) * ERA - 2 + number % 3})"
        )
        await log.append([event(key, owner="ada", **rest)])


@pytest.mark.parametrize("mark", [None, "open"])
@pytest.mark.parametrize("owner", [None, "ada"])
@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_pages_go_on_from_one_era_to_the_one_before(
    log: PostgresEventLog, database: Any, mark: str | None, owner: str | None, limit: int
) -> None:
    await _spread(log, database, mark="open")
    found: list[StreamKey] = []
    before = None
    while page := await log.heads("session", owner=owner, mark=mark, before=before, limit=limit):
        found += [head.stream for head in page]
        before = page[-1].position
    assert found == KEYS[::-1]
    assert len(await log.heads("session", before=2**63 - 1)) == len(KEYS)
    assert await log.heads("session", before=0) == []


async def test_a_stream_that_grows_in_a_later_era_comes_first(
    log: PostgresEventLog, database: Any
) -> None:
    await _spread(log, database)
    await log.append([event(KEYS[1])])
    heads = await log.heads("session", owner="ada", limit=2)
    assert [head.stream for head in heads] == [KEYS[1], KEYS[8]]


async def test_orphans_are_claimed_from_the_oldest_era_on(
    log: PostgresEventLog, database: Any
) -> None:
    await _spread(log, database, mark="open")
    ownership: Ownership = log.ownership
    instance = await ownership.join("edge-1")
    claimed = [await ownership.claim_orphans("session", "open", instance, 4) for _ in range(4)]
    assert claimed == [KEYS[:4], KEYS[4:8], KEYS[8:], []]
    await ownership.release(KEYS, instance)
    for key in KEYS[:8]:
        await log.append([event(key, mark="")])
    assert await ownership.claim_orphans("session", "open", instance, 4) == KEYS[8:]
    assert await ownership.claim_orphans("session", "", instance, 100) == KEYS[:8]


async def test_appends_leave_the_indexes_of_streams_as_they_are(
    log: PostgresEventLog, database: Any
) -> None:
    await log.append([event(ONE, owner="ada", mark="open")])
    sizes = (
        "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE oid = 'streams'::regclass "
        "OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'streams'::regclass) "
        "ORDER BY 1"
    )
    before = await database.fetch(sizes)
    for _ in range(1000):
        await log.append([event(ONE)])
    assert await database.fetch(sizes) == before


async def test_claiming_what_is_there_uses_no_number_up(
    log: PostgresEventLog, database: Any
) -> None:
    last = "SELECT last_value FROM streams_id_seq"
    await log.append([event(ONE)])
    before = await database.fetchval(last)
    for _ in range(5):
        instance = await log.ownership.join("edge-1")
        assert await log.ownership.claim(ONE, instance)
    assert await database.fetchval(last) == before
    assert await log.ownership.claim(StreamKey("session", "new"), instance)
    assert await log.append([event(StreamKey("session", "new"))], fence=instance.fence) == [1]


async def _many(database: Any) -> None:
    """Make the streams of one owner, one in ten of which is marked; the server knows of them."""
    await database.execute(
        "INSERT INTO streams (kind, name, owner, mark, last_seq, position, created_at, updated_at, "
        "chain, secret) SELECT 'session', 'm' || n, 'ada', CASE WHEN n % 10 = 0 THEN 'open' "
        f"ELSE '' END, 1, n * {ERA // 1000}, n, n, '', '' FROM generate_series(1, 5000) n"
    )
    await database.execute("ANALYZE streams")


async def _plan(database: Any, query: str, types: str, values: Sequence[object]) -> str:
    """Return how the server goes about a query; values are numbers and words."""
    await database.execute(f"PREPARE asked ({types}) AS {query}")
    rows = await database.fetch(f"EXPLAIN EXECUTE asked ({', '.join(map(repr, values))})")
    return "\n".join(row[0] for row in rows)


async def test_a_page_is_read_by_its_index(log: PostgresEventLog, database: Any) -> None:
    await _many(database)
    query, values = queries.heads("session", "ada", None, 3 * ERA, 50, eras=True)
    plan = await _plan(database, query, "text, bigint, text, bigint", values)
    assert "Index Scan Backward using streams_by_change" in plan
    assert "era <= ($4 >> 14)" in plan


async def test_orphans_are_looked_for_among_the_marked_alone(
    log: PostgresEventLog, database: Any
) -> None:
    await _many(database)
    plan = await _plan(
        database,
        postgres_ownership._CLAIM_ORPHANS,
        "bigint, text, text, bigint",
        (1, "session", "open", 64),
    )
    assert "Index Scan using streams_by_mark" in plan
    assert "Index Cond: ((kind = $2) AND (mark = $3))" in plan
