"""Everything that was acknowledged is there after the power was cut.

``POWER_CUT_SEED`` repeats a run, ``POWER_CUT_CUTS`` makes it longer.
"""

import asyncio
import os
import random
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.power_cut.rounds import Report, cut_power
from tests.chaos.power_cut.stores import PostgresStore, SqliteStore, Store

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

SEED = int(os.environ.get("POWER_CUT_SEED") or random.randrange(10**6))
CUTS = int(os.environ.get("POWER_CUT_CUTS") or 20)
_CONTROL_CUTS = 12

Keep = Callable[[Store], Store]
"""Remembers a store, so that it is removed when the test ends."""


@pytest.fixture
def keep() -> Iterator[Keep]:
    stores: list[Store] = []

    def remember(store: Store) -> Store:
        stores.append(store)
        return store

    yield remember
    for store in stores:
        store.remove()


async def test_sqlite_keeps_what_it_acknowledged(keep: Keep) -> None:
    _all_is_there(await cut_power(keep(SqliteStore()), cuts=CUTS, seed=SEED))


@pytest.mark.parametrize("method", ["fdatasync", "open_datasync"])
async def test_postgres_keeps_what_it_acknowledged(keep: Keep, method: str) -> None:
    store = await asyncio.to_thread(PostgresStore, settings={"wal_sync_method": method})
    _all_is_there(await cut_power(keep(store), cuts=(CUTS + 1) // 2, seed=SEED))


async def test_sqlite_that_does_not_sync_is_found_out(keep: Keep) -> None:
    _is_found_out(await _control(keep(SqliteStore(pragma="synchronous = OFF"))))


async def test_sqlite_that_syncs_only_at_checkpoints_is_found_out(keep: Keep) -> None:
    report = await _control(keep(SqliteStore(pragma="synchronous = NORMAL")))
    _is_found_out(report)
    # It forgets the newest, and is whole otherwise.
    assert all("are lost" in text for text in report.wrong), report


async def test_postgres_that_does_not_sync_is_found_out(keep: Keep) -> None:
    _is_found_out(await _control(keep(await asyncio.to_thread(PostgresStore, durable=False))))


async def test_postgres_that_answers_before_it_syncs_is_found_out(keep: Keep) -> None:
    report = await _control(keep(await asyncio.to_thread(PostgresStore, commit="off")))
    _is_found_out(report)
    assert all("are lost" in text for text in report.wrong), report


async def _control(store: Store) -> Report:
    return await cut_power(store, cuts=_CONTROL_CUTS, seed=SEED, recovery=0, until_wrong=True)


def _all_is_there(report: Report) -> None:
    print(report)
    assert not report.wrong, report
    assert report.acknowledged > 10 * report.cuts, report
    assert report.dropped > report.cuts, report


def _is_found_out(report: Report) -> None:
    print(report)
    assert report.lost, report
