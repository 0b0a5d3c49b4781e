"""A clock that jumps: time in a stream never turns round, and nothing else hangs on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from event_log_contract import ONE, TWO, event

from ensemble.eventlog import PostgresEventLog, SqliteEventLog
from ensemble.testkit.postgres import shared_postgres

pytestmark = pytest.mark.contract

_HOUR = 3_600_000_000_000

Log = SqliteEventLog | PostgresEventLog


class Clock:
    """Stands where it was put."""

    now = 10 * _HOUR

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
async def reopened(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[Callable[[], Awaitable[Log]]]:
    """Opens the same log again, after closing it."""
    logs: list[Log] = []

    async def close() -> None:
        while logs:
            await logs.pop().close()

    if request.param == "sqlite":

        async def in_file() -> Log:
            await close()
            logs.append(await SqliteEventLog.open(tmp_path / "log.db", clock=clock))
            return logs[-1]

        yield in_file
        await close()
        return
    server = await asyncio.to_thread(shared_postgres)
    async with server.database() as dsn:

        async def in_database() -> Log:
            await close()
            logs.append(await PostgresEventLog.open(dsn, clock=clock))
            return logs[-1]

        yield in_database
        await close()


@pytest.mark.parametrize("again", [False, True])
async def test_jumps_of_an_hour_both_ways(
    reopened: Callable[[], Awaitable[Log]], clock: Clock, again: bool
) -> None:
    log = await reopened()
    instance = await log.ownership.join("edge-1")
    await log.append([event(ONE, mark="open")])
    for jump, key in ((-_HOUR, TWO), (2 * _HOUR, ONE), (-_HOUR, ONE)):
        clock.now += jump
        if again:
            log = await reopened()
        await log.append([event(ONE), event(key)])
        # Neither a beat nor a claim asks for the time.
        assert [peer.instance for peer in await log.ownership.beat(instance)] == [instance]
    times = [item.created_at // _HOUR for item in await log.read(ONE)]
    assert times == [10, 10, 11, 11, 11, 11]
    assert [item.created_at // _HOUR for item in await log.read(TWO)] == [9]
    head = await log.head(ONE)
    assert head is not None
    assert (head.created_at // _HOUR, head.updated_at // _HOUR) == (10, 11)
    # The last change is told by position, not by the clock.
    assert [found.stream for found in await log.heads("session")] == [ONE, TWO]
    await log.append([event(TWO)])
    assert [found.stream for found in await log.heads("session")] == [TWO, ONE]
    assert await log.ownership.claim_orphans("session", "open", instance, 9) == [ONE]
    for key in (ONE, TWO):
        assert (await log.audit(key)).intact


async def test_a_retention_goes_by_the_stream_not_by_the_clock(
    reopened: Callable[[], Awaitable[Log]], clock: Clock
) -> None:
    log = await reopened()
    await log.append([event(ONE)])
    clock.now -= _HOUR
    await log.append([event(ONE), event(TWO)])
    found = await log.drop("session", before=10 * _HOUR)
    assert (found.streams, found.events) == (1, 1)
    assert await log.head(ONE) is not None
    assert await log.head(TWO) is None


async def test_an_append_may_bring_its_time(
    reopened: Callable[[], Awaitable[Log]], clock: Clock
) -> None:
    log = await reopened()
    await log.append([event(ONE), event(ONE)], at=7 * _HOUR)
    await log.append([event(ONE)], at=6 * _HOUR)
    await log.append([event(ONE)])
    log = await reopened()
    assert [item.created_at // _HOUR for item in await log.read(ONE)] == [7, 7, 7, 10]
    assert (await log.audit(ONE)).intact
