import asyncio
import time

import grpc
import pytest
from tool_house import Assistant

from ensemble.core.errors import (
    InvalidArgumentError,
    ServiceUnavailableError,
    ToolArgumentsError,
    ToolFailedError,
    ToolNotFoundError,
    ToolTimeoutError,
    UnexpectedMessageError,
    WrongFirstMessageError,
)
from ensemble.runtime.service import Service
from ensemble.tool_server.adapters.world_model import WorldModelWorld
from ensemble.tool_server.ledger import Ledger
from ensemble.tool_server.servicer import ToolServerServicer
from ensemble.tool_server.settings import Settings
from ensemble.tool_server.tool import Arguments, Nothing, Result, Tool
from ensemble.tool_server.toolbox import Toolbox
from ensemble.transport import stream
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import common_pb2, tool_server_service_pb2_grpc
from ensemble.v1 import tool_server_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2 as world_pb

pytestmark = pytest.mark.unit


class Count(Result, frozen=True):
    """How often it ran."""

    runs: int


class Steps(Arguments, frozen=True):
    """How much progress to report."""

    steps: int = 0


class Slow(Tool[Steps, Count]):
    """Reports progress, then waits until it is told to end."""

    name = "slow"
    idempotent_by_key = True
    description = "Waits."
    arguments = Steps
    result = Count

    def __init__(self):
        self.runs = 0
        self.reported = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def run(self, arguments, call):
        self.runs += 1
        try:
            for step in range(arguments.steps):
                await call.report(step + 1, arguments.steps, "working")
                self.reported += 1
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Count(self.runs)


class Broken(Tool[Nothing, Count]):
    """Raises something that is nobody's business."""

    name = "broken"
    description = "Breaks."
    arguments = Nothing
    result = Count

    def __init__(self):
        self.runs = 0

    async def run(self, arguments, call):
        self.runs += 1
        raise RuntimeError("the secret of the house")


class Shaky(Broken):
    """Fails at first in a way that may mend."""

    name = "shaky"
    idempotent_by_key = True

    async def run(self, arguments, call):
        self.runs += 1
        if self.runs == 1:
            raise ServiceUnavailableError
        return Count(self.runs)


class Workshop(Service):
    """Serves the tools above."""

    name = "tool-server"

    def __init__(self, channels, keep=100):
        self.slow, self.broken, self.shaky = Slow(), Broken(), Shaky()
        toolbox = Toolbox([self.slow, self.broken, self.shaky])
        world = WorldModelWorld(channels.get("world-model"))
        ledger = Ledger(world, keep)
        self.servicer = ToolServerServicer(toolbox, ledger, world, time_limit=5)

    def add_to(self, server):
        tool_server_service_pb2_grpc.add_ToolServerServiceServicer_to_server(self.servicer, server)

    async def drain(self):
        self.servicer.drain()


@pytest.fixture(params=["inproc", "unix"])
async def workshop(request, house):
    address = f"unix:{house.folder}/t.sock" if request.param == "unix" else ""
    made = []

    def build(channels):
        made.append(Workshop(channels))
        return made[0]

    async with house.world(), house.tools(address, build) as host:
        made[0].assistant = Assistant(host)
        made[0].host = host
        yield made[0]


async def events_of(call):
    while (event := await call.read()) is not grpc.aio.EOF:
        if not event.HasField("heartbeat"):
            yield event


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in events_of(call):
            pytest.fail("an event before the status")
    return from_rpc_error(caught.value)


async def test_started_result_done(assistant):
    answer = await assistant.answer("calculate", {"expression": "2 * 3"})
    assert answer.kinds() == ["started", "result", "done"]
    assert [event.sequence for event in answer.events] == [1, 2, 3]
    assert len({event.event_id for event in answer.events}) == 3
    assert {event.caused_by_event_id for event in answer.events} == {"start"}
    assert answer.started.call_id == answer.result.call_id == "call"
    assert not answer.started.replayed
    assert answer.done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert answer.done.HasField("usage")


async def test_a_caller_may_half_close_at_once(assistant):
    async def requests():
        yield assistant.start("get_time")

    events = [event async for event in assistant.tools.CallTool(requests())]
    assert events[-1].done.stop_reason == common_pb2.STOP_REASON_COMPLETED


@pytest.mark.parametrize(
    "first", [None, pb.CallToolRequest(), pb.CallToolRequest(cancel=common_pb2.Cancel())]
)
async def test_the_first_message_must_be_the_start(assistant, first):
    async with stream(assistant.open()) as call:
        if first is not None:
            await call.write(first)
        await call.done_writing()
        assert isinstance(await refused(call), WrongFirstMessageError)


async def test_an_unknown_tool_ends_the_call(assistant):
    async with stream(assistant.open()) as call:
        await call.write(assistant.start("fly"))
        error = await refused(call)
    assert isinstance(error, ToolNotFoundError)
    assert error.metadata["tool"] == "fly"


@pytest.mark.parametrize(
    ("name", "arguments", "path"),
    [
        ("set_device", '{"room": "kitchen", "device": "light"', "$"),
        ("set_device", '{"room": "kitchen", "device": "light"}', "$"),
        ("set_device", '{"room": "moon", "device": "light", "state": "on"}', "$.room"),
        ("set_device", '{"room": "attic", "device": "fan", "state": "on", "x": 1}', "$"),
        ("set_level", '{"room": "attic", "device": "fan", "level": 101}', "$.level"),
        ("set_level", '{"room": "attic", "device": "fan", "level": "7"}', "$.level"),
        ("set_level", '{"room": "attic", "device": "fan", "level": 7.5}', "$.level"),
        ("set_timer", '{"amount": NaN, "unit": "minute"}', "$"),
        ("set_timer", "[]", "$"),
        ("set_timer", "[" * 10_000, "$"),
        ("cancel_timer", '{"amount": 5}', "$"),
        ("cancel_reminder", "{}", "$"),
        ("remember", '{"subject": "?!", "fact": "x"}', "$"),
        ("calculate", '{"expression": ""}', "$.expression"),
    ],
)
async def test_arguments_outside_the_schema_end_the_call(assistant, name, arguments, path):
    async with stream(assistant.open()) as call:
        await call.write(assistant.start(name, arguments))
        error = await refused(call)
    assert isinstance(error, ToolArgumentsError)
    assert error.metadata["path"] == path
    assert error.metadata["problem"]
    assert name in error.message


async def test_whole_numbers_may_be_written_with_a_fraction_of_zero(assistant):
    level = '{"room": "attic", "device": "fan", "level": 70.0}'
    assert (await assistant.do("set_level", level))["level"] == 70


async def test_no_arguments_may_be_empty_text(assistant):
    assert await assistant.do("get_time", "") == {"time": "14:00"}


async def test_a_speculative_call_runs_no_tool(workshop):
    start = workshop.assistant.start("slow")
    start.start.context.purpose = common_pb2.PURPOSE_SPECULATIVE
    async with stream(workshop.assistant.open()) as call:
        await call.write(start)
        assert isinstance(await refused(call), InvalidArgumentError)
    assert not workshop.slow.runs


async def test_a_second_start_is_refused(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow"))
        await call.read()
        await call.write(workshop.assistant.start("slow"))
        assert isinstance(await refused(call), UnexpectedMessageError)
    assert workshop.slow.cancelled == 1


async def test_heartbeats_while_a_tool_is_quiet(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow"))
        assert (await call.read()).HasField("started")
        for _ in range(2):
            beat = await call.read()
            assert beat.HasField("heartbeat")
            assert beat.sequence == 0
        workshop.slow.go.set()
        rest = [event.WhichOneof("event") async for event in events_of(call)]
    assert rest == ["result", "done"]


async def test_a_cancel_stops_the_tool_and_gives_no_result(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow", key="k"))
        await call.read()
        await call.write(pb.CallToolRequest(event_id="stop", cancel=common_pb2.Cancel()))
        rest = [event async for event in events_of(call)]
    (last,) = rest
    assert last.done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert last.caused_by_event_id == "stop"
    assert workshop.slow.cancelled == 1


async def test_a_caller_that_goes_away_stops_the_tool(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow"))
        await call.read()
    async with asyncio.timeout(10):
        while not workshop.slow.cancelled:
            await asyncio.sleep(0.01)


async def test_progress_counts_against_the_credit(workshop):
    async with stream(workshop.assistant.open()) as call:
        start = workshop.assistant.start("slow", {"steps": 5}, initial_credit=2)
        await call.write(start)
        events = [await call.read() for _ in range(3)]
        assert [event.progress.done for event in events[1:]] == [1, 2]
        assert (await call.read()).HasField("heartbeat")
        assert workshop.slow.reported == 2
        await call.write(pb.CallToolRequest(credit=common_pb2.Credit(events=3)))
        workshop.slow.go.set()
        rest = [event async for event in events_of(call)]
    assert [event.progress.done for event in rest[:-2]] == [3, 4, 5]
    assert rest[0].progress.total == 5
    assert rest[0].progress.message == "working"


async def test_without_a_limit_progress_flows(workshop):
    workshop.slow.go.set()
    answer = await workshop.assistant.answer("slow", {"steps": 100})
    assert answer.kinds() == ["started", *["progress"] * 100, "result", "done"]


async def test_a_tool_that_takes_too_long(workshop):
    begun = time.monotonic()
    limit = {"nanos": 300_000_000}
    answer = await workshop.assistant.answer("slow", time_limit=limit)
    assert isinstance(answer.error, ToolTimeoutError)
    assert answer.done.stop_reason == common_pb2.STOP_REASON_FAILED
    assert 0.25 < time.monotonic() - begun < 4
    assert workshop.slow.cancelled == 1


async def test_a_caller_cannot_prolong_the_limit(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow", time_limit={"seconds": -1}))
        assert isinstance(await refused(call), InvalidArgumentError)


async def test_what_a_tool_raises_stays_inside(workshop):
    answer = await workshop.assistant.answer("broken")
    assert isinstance(answer.error, ToolFailedError)
    assert "secret" not in str(answer.result)


async def test_one_key_one_run(workshop):
    workshop.slow.go.set()
    first = await workshop.assistant.answer("slow", key="k")
    second = await workshop.assistant.answer("slow", key="k")
    assert not first.started.replayed
    assert second.started.replayed
    assert second.kinds() == first.kinds()
    assert second.result == first.result
    assert workshop.slow.runs == 1
    assert await workshop.assistant.do("slow", key="other") == {"runs": 2}
    assert await workshop.assistant.do("slow") == {"runs": 3}


async def test_a_second_call_waits_for_the_first(workshop):
    first = asyncio.create_task(workshop.assistant.answer("slow", key="k"))
    while not workshop.slow.runs:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(workshop.assistant.answer("slow", key="k"))
    await asyncio.sleep(0.1)
    workshop.slow.go.set()
    assert (await first).value == (await second).value == {"runs": 1}
    assert (await second).started.replayed


async def test_a_second_call_runs_when_the_first_was_cancelled(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow", key="k"))
        await call.read()
        second = asyncio.create_task(workshop.assistant.answer("slow", key="k"))
        await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        while not workshop.slow.cancelled:
            await asyncio.sleep(0.01)
    workshop.slow.go.set()
    assert (await second).value == {"runs": 2}
    assert not (await second).started.replayed


async def test_a_key_is_for_one_call_of_one_person(workshop):
    workshop.slow.go.set()
    await workshop.assistant.answer("slow", key="k")
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow", {"steps": 1}, key="k"))
        assert isinstance(await refused(call), InvalidArgumentError)
    other = Assistant(workshop.host, principal="somebody else")
    assert not (await other.answer("slow", {"steps": 1}, key="k")).started.replayed


async def test_a_failure_is_kept_unless_it_may_mend(workshop):
    for _ in range(2):
        assert isinstance(
            (await workshop.assistant.answer("broken", key="k")).error, ToolFailedError
        )
    assert workshop.broken.runs == 1
    failed = await workshop.assistant.answer("shaky", key="s")
    assert failed.error.retryable
    assert await workshop.assistant.do("shaky", key="s") == {"runs": 2}


async def test_a_drain_refuses_new_calls_and_lets_the_others_end(workshop):
    async with stream(workshop.assistant.open()) as call:
        await call.write(workshop.assistant.start("slow"))
        await call.read()
        draining = asyncio.create_task(workshop.host.drain())
        await asyncio.sleep(0.1)
        late = workshop.assistant.open()
        with pytest.raises((grpc.aio.AioRpcError, asyncio.InvalidStateError)) as caught:
            await late.write(workshop.assistant.start("slow"))
            await late.read()
        if isinstance(caught.value, grpc.aio.AioRpcError):
            assert from_rpc_error(caught.value).retryable
        workshop.slow.go.set()
        rest = [event async for event in events_of(call)]
    assert rest[-1].done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    await draining


async def test_results_outlive_a_restart(house):
    async with house.world():
        timer = {"amount": 5, "unit": "minute"}
        async with house.tools() as host:
            first = await Assistant(host).answer("set_timer", timer, key="turn-1")
        house.clock.pass_(minutes=1)
        async with house.tools() as host:
            again = await Assistant(host).answer("set_timer", timer, key="turn-1")
            assert again.started.replayed
            assert again.value == first.value
            assert (await Assistant(host).do("list_timers"))["count"] == 1


async def test_effects_happen_once_even_when_the_result_was_lost(house):
    """As after a death between a tool's effect and the record of its result."""
    async with house.world() as world:
        async with house.tools() as host:
            for minutes in (1, 2, 3):
                await Assistant(host).do("set_timer", {"amount": minutes, "unit": "minute"})
            await Assistant(host).do("cancel_timer", key="c")
        await forget_results(world)
        async with house.tools() as host:
            assert await Assistant(host).do("cancel_timer", key="c") == {"cancelled": 1}
            assert (await Assistant(host).do("list_timers"))["count"] == 2


async def forget_results(world):
    found = await world.Query(world_pb.QueryRequest(kind="tool-call"))
    gone = [world_pb.Entity(kind=e.kind, name=e.name, removed=True) for e in found.entities]
    await world.Observe(world_pb.ObserveRequest(entities=gone))


async def test_no_more_results_are_kept_than_wanted(house):
    house.settings = Settings(kept_results=3)
    async with house.world() as world:
        for part in range(2):
            async with house.tools() as host:
                for number in range(5):
                    await Assistant(host).do("cancel_timer", key=f"{part}-{number}")
        found = await world.Query(world_pb.QueryRequest(kind="tool-call"))
        assert len(found.entities) == 3


async def test_without_the_world_model_tools_say_so_and_the_rest_works(house):
    async with house.tools() as host:
        assistant = Assistant(host)
        for name, arguments, key in [
            ("list_timers", {}, ""),
            ("set_timer", {"amount": 1, "unit": "minute"}, ""),
            ("set_timer", {"amount": 1, "unit": "minute"}, "k"),
        ]:
            answer = await assistant.answer(name, arguments, key=key)
            assert answer.kinds() == ["started", "result", "done"]
            assert isinstance(answer.error, ServiceUnavailableError)
            assert answer.error.retryable
        assert await assistant.do("get_time") == {"time": "14:00"}
        async with house.world():
            assert await assistant.do("list_timers") == {"count": 0, "timers": []}
