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
_NEW = 8
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


async def test_a_new_sqlite_log_in_a_new_folder_keeps_what_it_acknowledged(keep: Keep) -> None:
    acknowledged = 0
    for number in range(_NEW):
        store = keep(SqliteStore(file="home/log.db"))
        report = await cut_power(store, cuts=1, seed=SEED + number)
        assert not report.wrong, report
        acknowledged += report.acknowledged
    assert acknowledged


@pytest.mark.parametrize("pragma", ["", "wal_autocheckpoint = 100"])
async def test_sqlite_keeps_what_it_acknowledged(keep: Keep, pragma: str) -> None:
    _all_is_there(await cut_power(keep(SqliteStore(pragma=pragma)), cuts=CUTS, seed=SEED))


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


async def test_a_disk_that_only_says_it_synced_a_checkpoint_of_sqlite_is_found_out(
    keep: Keep,
) -> None:
    # Its -wal is synced; checkpoints come often enough for a cut to follow one.
    store = keep(SqliteStore(pragma="wal_autocheckpoint = 100"))
    before = await cut_power(store, cuts=1, seed=SEED)
    store.disk.lies_about = "log.db"
    _is_found_out(await _control(store, before))


async def test_a_disk_that_only_says_it_synced_a_checkpoint_of_postgres_is_found_out(
    keep: Keep,
) -> None:
    store = keep(await asyncio.to_thread(PostgresStore))
    before = await cut_power(store, cuts=1, seed=SEED)
    store.disk.lies_about = "base/*"  # pg_wal is synced
    _is_found_out(await _control(store, before))


async def _control(store: Store, before: Report | None = None) -> Report:
    return await cut_power(store, cuts=_CONTROL_CUTS, seed=SEED, until_wrong=True, after=before)


def _all_is_there(report: Report) -> None:
    print(report)
    assert not report.wrong, report
    assert report.acknowledged > 10 * report.cuts, report
    assert report.dropped > report.cuts, report


def _is_found_out(report: Report) -> None:
    print(report)
    assert report.lost, report
