"""What is kept of calls does not pile up for ever."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tool_house import Assistant

from ensemble.core.errors import ServiceUnavailableError
from ensemble.tool_server import clearance
from ensemble.tool_server.adapters.world_model import WorldModelWorld
from ensemble.tool_server.claims import KIND
from ensemble.tool_server.clearance import Clearance
from ensemble.tool_server.ports import Seen
from ensemble.tool_server.settings import Settings

pytestmark = pytest.mark.unit

ENDED, UNKNOWN = 3.0, 30.0


def in_days(days):
    return lambda: datetime.now(UTC) + timedelta(days=days)


@pytest.fixture
async def world(house):
    async with house.world(), house.tools() as host:
        world = WorldModelWorld(host.peers.get("world-model"))
        yield world


async def kept(world):
    return [thing.name async for thing in world.browse(KIND)]


async def leave_calls(world, ended, unknown):
    for names, attributes in (
        (ended, {"outcome": {"result": "{}"}}),
        (unknown, {"claim": "claim_1"}),
    ):
        for first in range(0, len(names), 100):
            some = [Seen(KIND, name, attributes) for name in names[first : first + 100]]
            await world.observe("", some)


@pytest.mark.parametrize(
    ("days", "left"),
    [(2.9, ["a", "b"]), (3.1, ["b"]), (29.9, ["b"]), (30.1, [])],
)
async def test_the_end_of_a_call_is_kept_for_days_and_a_start_for_weeks(world, days, left):
    await leave_calls(world, ["a"], ["b"])
    await world.observe("", [Seen("timer", "t", {"status": "pending"})])
    cleared = await Clearance(world, ENDED, UNKNOWN, in_days(days)).clear()
    assert await kept(world) == left
    assert cleared == 2 - len(left)
    assert [thing.name async for thing in world.browse("timer")] == ["t"]


async def test_zero_days_keep_it(world):
    await leave_calls(world, ["a"], ["b"])
    assert await Clearance(world, 0, 0, in_days(9999)).clear() == 0
    assert await Clearance(world, 0, UNKNOWN, in_days(9999)).clear() == 1
    assert await kept(world) == ["a"]


async def test_many_calls_are_cleared_in_one_round(world):
    await leave_calls(world, [f"{number:03}" for number in range(350)], [])
    assert await Clearance(world, ENDED, UNKNOWN, in_days(4)).clear() == 350
    assert await kept(world) == []


async def test_a_server_clears_up_by_itself(house, monkeypatch):
    monkeypatch.setattr(clearance, "_RETRY_S", 0.05)
    house.settings = Settings(kept_days=1e-9)
    # The world model comes later than the tool server.
    async with house.tools() as host:
        world = WorldModelWorld(host.peers.get("world-model"))
        with pytest.raises(ServiceUnavailableError):
            await world.find(KIND)
        async with house.world():
            await Assistant(host).do("set_timer", {"amount": 5, "unit": "minute"}, key="k")
    async with house.world(), house.tools() as host:
        world = WorldModelWorld(host.peers.get("world-model"))
        async with asyncio.timeout(20):
            while await kept(world):
                await asyncio.sleep(0.02)
        assert (await Assistant(host).do("list_timers"))["count"] == 1


def test_nothing_is_kept_for_less_than_no_time():
    with pytest.raises(ValueError, match="kept_days"):
        Settings(kept_days=-1)
