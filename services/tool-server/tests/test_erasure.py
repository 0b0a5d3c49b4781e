import grpc
import pytest
from tool_house import Assistant

from ensemble.core.errors import InvalidArgumentError, ServiceUnavailableError
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import tool_server_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2 as world_pb

pytestmark = pytest.mark.unit


class Person(Assistant):
    """Calls tools for one person."""

    async def erase(self, session_id=""):
        request = pb.EraseDataRequest(session_id=session_id)
        return (await self.tools.EraseData(request, metadata=self._metadata)).things


@pytest.fixture(params=["inproc", "unix"])
def address(request, house):
    return f"unix:{house.folder}/t.sock" if request.param == "unix" else ""


async def leave_traces(person, name):
    await person.do("remember", {"subject": f"{name} key", "fact": "in the drawer"})
    await person.do("remember", {"subject": "bicycle", "fact": f"belongs to {name}"})
    await person.do("set_timer", {"amount": 5, "unit": "minute"}, key="t", session_id="ses_1")
    reminder = {"text": f"call {name}", "amount": 1, "unit": "hour"}
    await person.do("add_reminder", reminder, key="r", session_id="ses_2")
    await person.do("set_device", {"room": "attic", "device": "fan", "state": "on"})


async def test_everything_of_one_person_goes_and_the_others_keep_theirs(house, address):
    async with house.world() as world, house.tools(address) as host:
        anna, ben = Person(host, "anna"), Person(host, "ben")
        await leave_traces(anna, "anna")
        await leave_traces(ben, "ben")
        # Two memories, a timer, a reminder and the results of setting those two.
        assert await anna.erase() == 6
        assert (await anna.do("recall", {"subject": "anna key"}))["facts"] == []
        assert (await anna.do("recall", {"subject": "bicycle"}))["facts"] == ["belongs to ben"]
        assert (await anna.do("list_timers"))["count"] == 0
        assert (await anna.do("list_reminders"))["count"] == 0
        fan = {"room": "attic", "device": "fan"}
        assert (await anna.do("get_device", fan))["state"] == "on"
        assert (await ben.do("list_timers"))["count"] == 1
        assert (await ben.do("recall", {"subject": "ben key"}))["facts"] == ["in the drawer"]
        assert "anna" not in str(await world.Query(world_pb.QueryRequest()))
        assert await anna.erase() == 0
    for file in house.folder.iterdir():
        if file.is_file():
            assert b"anna" not in file.read_bytes()


async def test_a_timer_that_was_erased_does_not_fire(house):
    async with house.world() as world, house.tools() as host:
        anna, ben = Person(host, "anna"), Person(host, "ben")
        await anna.do("set_timer", {"amount": 1, "unit": "minute"})
        await ben.do("set_timer", {"amount": 2, "unit": "minute"})
        await anna.erase()
        house.clock.pass_(minutes=3)
        watch = world.Watch(world_pb.WatchRequest(kind="timer", resume_from_sequence=0))
        async for change in watch:
            values = {a.name: a.value_json for a in change.changed.attributes}
            if values.get("status") == '"fired"':
                assert values["principal"] == '"ben"'
                break


async def test_of_one_session_only_the_results_of_its_calls_go(house):
    async with house.world() as world, house.tools() as host:
        anna = Person(host, "anna")
        await leave_traces(anna, "anna")
        assert await anna.erase("ses_2") == 1
        assert await Person(host, "ben").erase("ses_1") == 0
        kept = await world.Query(world_pb.QueryRequest(kind="tool-call"))
        assert len(kept.entities) == 1
        assert (await anna.do("list_reminders"))["count"] == 1
        # The effect is still known by the call's key, so there is no second one.
        reminder = {"text": "call anna", "amount": 1, "unit": "hour"}
        await anna.do("add_reminder", reminder, key="r", session_id="ses_2")
        assert (await anna.do("list_reminders"))["count"] == 1


async def test_it_must_be_known_who_asks_and_the_world_model_be_there(house):
    async with house.tools() as host:
        for person, expected in [("", InvalidArgumentError), ("anna", ServiceUnavailableError)]:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await Person(host, person).erase()
            assert isinstance(from_rpc_error(caught.value), expected)
