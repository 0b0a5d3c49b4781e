import asyncio
import json

import pytest
from tool_house import Assistant

from ensemble.tool_server.adapters.world_model import WorldModelWorld
from ensemble.tool_server.alarms import Alarms
from ensemble.transport import stream
from ensemble.v1 import world_model_service_pb2 as pb

pytestmark = pytest.mark.unit


def attributes(entity):
    return {item.name: json.loads(item.value_json) for item in entity.attributes}


async def fired(world, count=1, after=0):
    """Waits until so many alarms have fired and returns them as a watcher sees them."""
    found = []
    async with asyncio.timeout(30):
        async with stream(world.Watch(pb.WatchRequest(resume_from_sequence=after))) as responses:
            async for response in responses:
                if response.HasField("changed"):
                    known = attributes(response.changed)
                    if known.get("status") == "fired":
                        found.append((response.changed.kind, known))
                if len(found) == count:
                    return found
    raise AssertionError


async def statuses(world, kind):
    found = await world.Query(pb.QueryRequest(kind=kind))
    return [attributes(entity)["status"] for entity in found.entities]


async def forget_results(world):
    found = await world.Query(pb.QueryRequest(kind="tool-call"))
    gone = [pb.Entity(kind=e.kind, name=e.name, removed=True) for e in found.entities]
    await world.Observe(pb.ObserveRequest(entities=gone))


@pytest.fixture
async def world(house):
    async with house.world() as world:
        yield world


async def test_several_timers_listed_with_what_is_left(house, world):
    async with house.tools() as host:
        assistant = Assistant(host)
        assert await assistant.do("list_timers") == {"count": 0, "timers": []}
        set_ = await assistant.do("set_timer", {"amount": 5, "unit": "minute"})
        assert set_ == {"amount": 5, "unit": "minute", "at": "14:05:00"}
        await assistant.do("set_timer", {"amount": 90, "unit": "minute"})
        await assistant.do("set_timer", {"amount": 2, "unit": "hour"})
        await assistant.do("set_timer", {"amount": 30, "unit": "second"})
        house.clock.pass_(seconds=1)
        assert await assistant.do("list_timers") == {
            "count": 4,
            "timers": [
                "30 second timer, 29 seconds left",
                "5 minute timer, 5 minutes left",
                "90 minute timer, 90 minutes left",
                "2 hour timer, 2 hours left",
            ],
        }
        house.clock.pass_(seconds=28)
        lines = (await assistant.do("list_timers"))["timers"]
        assert lines[0] == "30 second timer, 1 second left"
        for _ in range(3):
            await assistant.do("set_timer", {"amount": 1, "unit": "hour"})
        listed = await assistant.do("list_timers")
        assert (listed["count"], len(listed["timers"])) == (7, 5)


async def test_cancels_the_newest_one_of_an_amount_or_all(house, world):
    async with house.tools() as host:
        assistant = Assistant(host)
        assert await assistant.do("cancel_timer") == {"cancelled": 0}
        for amount in (1, 2, 2, 3):
            await assistant.do("set_timer", {"amount": amount, "unit": "minute"})
        assert await assistant.do("cancel_timer") == {"cancelled": 1}
        assert await assistant.do("cancel_timer", {"amount": 3, "unit": "minute"}) == {
            "cancelled": 0
        }
        assert await assistant.do("cancel_timer", {"amount": 2, "unit": "minute"}) == {
            "cancelled": 2
        }
        assert (await assistant.do("list_timers"))["timers"] == ["1 minute timer, 1 minute left"]
        await assistant.do("set_timer", {"amount": 4, "unit": "hour"})
        assert await assistant.do("cancel_timer", {"all": True}) == {"cancelled": 2}
        assert await statuses(world, "timer") == ["cancelled"] * 5


@pytest.mark.parametrize(
    ("arguments", "count"), [({}, 1), ({"all": True}, 3), ({"amount": 2, "unit": "minute"}, 2)]
)
async def test_a_cancel_that_is_tried_again_says_the_same(house, world, arguments, count):
    """As after a death between a tool's effect and the record of its result."""
    for try_ in range(2):
        if try_:
            await forget_results(world)
        async with house.tools() as host:
            assistant = Assistant(host)
            if not (await world.Query(pb.QueryRequest(kind="timer"))).entities:
                for amount in (2, 2, 3):
                    await assistant.do("set_timer", {"amount": amount, "unit": "minute"})
            assert await assistant.do("cancel_timer", arguments, key="c") == {"cancelled": count}
            assert (await assistant.do("list_timers"))["count"] == 3 - count


async def test_reminders_listed_and_cancelled_by_what_they_say(house, world):
    async with house.tools() as host:
        assistant = Assistant(host)
        set_ = await assistant.do(
            "add_reminder", {"text": "Call Mum.", "amount": 10, "unit": "minute"}
        )
        assert set_ == {"text": "Call Mum.", "amount": 10, "unit": "minute", "at": "14:10:00"}
        for text in ("feed the cat", "feed the black cat", "buy milk"):
            await assistant.do("add_reminder", {"text": text, "amount": 1, "unit": "hour"})
        listed = await assistant.do("list_reminders")
        assert listed["count"] == 4
        assert listed["reminders"][0] == "Call Mum. in 10 minutes"
        for text, count in [
            ("call mum", 1),
            ("call mum", 0),
            ("feed the cat", 1),
            ("black cat", 1),
            ("dog", 0),
        ]:
            assert await assistant.do("cancel_reminder", {"text": text}) == {"cancelled": count}
        assert await assistant.do("cancel_reminder", {"all": True}) == {"cancelled": 1}


async def test_fires_once_and_says_for_whom(house, world):
    async with house.tools() as host:
        assistant = Assistant(host, principal="key-1")
        await assistant.do("set_timer", {"amount": 1, "unit": "minute"}, session_id="ses_1")
        text = {"text": "call mum", "amount": 2, "unit": "minute"}
        await assistant.do("add_reminder", text, session_id="ses_2")
        house.clock.pass_(minutes=1)
        ((kind, known),) = await fired(world)
        assert kind == "timer"
        assert known["label"] == "Your 1 minute timer is done."
        assert known["session_id"] == "ses_1"
        assert known["principal"] == "key-1"
        assert known["due_at"] == "2026-11-21T14:01:00.000Z"
        assert await assistant.do("list_timers") == {"count": 0, "timers": []}
        house.clock.pass_(minutes=1)
        kind, known = (await fired(world, 2))[1]
        assert kind == "reminder"
        assert known["label"] == "Reminder: call mum."
        assert known["session_id"] == "ses_2"


async def test_a_cancelled_timer_does_not_fire(house, world):
    async with house.tools() as host:
        assistant = Assistant(host)
        await assistant.do("set_timer", {"amount": 1, "unit": "minute"})
        await assistant.do("set_timer", {"amount": 2, "unit": "minute"})
        await assistant.do("cancel_timer", {"amount": 1, "unit": "minute"})
        house.clock.pass_(minutes=2)
        ((_, known),) = await fired(world)
        assert known["amount"] == 2
        assert sorted(await statuses(world, "timer")) == ["cancelled", "fired"]


async def test_fires_across_a_restart_even_when_overdue(house, world):
    async with house.tools() as host:
        for amount in (1, 30):
            await Assistant(host).do("set_timer", {"amount": amount, "unit": "minute"})
    house.clock.pass_(minutes=2)
    async with house.tools() as host:
        ((_, known),) = await fired(world)
        assert known["amount"] == 1
        house.clock.pass_(minutes=30)
        assert len(await fired(world, 2)) == 2


async def test_fires_when_the_world_model_is_back(house):
    async with house.world(), house.tools() as host:
        await Assistant(host).do("set_timer", {"amount": 1, "unit": "minute"})
    async with house.tools():
        house.clock.pass_(minutes=2)
        await asyncio.sleep(0.2)
        async with house.world() as world:
            assert len(await fired(world)) == 1


async def test_two_servers_fire_it_once(house, world):
    async with house.tools() as host:
        second = Alarms(WorldModelWorld(host.peers.get("world-model")), house.clock)
        second.start()
        for _ in range(3):
            await Assistant(host).do("set_timer", {"amount": 1, "unit": "minute"})
        house.clock.pass_(minutes=1)
        await fired(world, 3)
        # Both look at the clock again within a second.
        await asyncio.sleep(1.2)
        await second.close()
    head = (await world.Query(pb.QueryRequest())).sequence
    assert head == 3 + 3


async def test_what_others_set_is_theirs(house, world):
    async with house.tools() as host:
        await Assistant(host, "anna").do("set_timer", {"amount": 1, "unit": "minute"})
        assert (await Assistant(host, "ben").do("list_timers"))["count"] == 0
        assert (await Assistant(host, "ben").do("cancel_timer", {"all": True}))["cancelled"] == 0
        assert (await Assistant(host, "anna").do("list_timers"))["count"] == 1
