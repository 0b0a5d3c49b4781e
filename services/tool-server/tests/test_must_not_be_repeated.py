import asyncio

import grpc
import pytest
from tool_house import Assistant

from ensemble.core.errors import (
    InvalidArgumentError,
    ServiceUnavailableError,
    ToolOutcomeUnknownError,
)
from ensemble.tool_server import app
from ensemble.tool_server.adapters.world_model import WorldModelWorld
from ensemble.tool_server.ledger import Ledger, Work
from ensemble.tool_server.outcome import Outcome
from ensemble.tool_server.settings import Settings
from ensemble.tool_server.tool import Arguments, Result, Tool
from ensemble.transport import stream
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import common_pb2
from ensemble.v1 import tool_server_service_pb2 as pb

pytestmark = pytest.mark.unit


class Steps(Arguments, frozen=True):
    """How much progress to report."""

    steps: int = 0


class Runs(Result, frozen=True):
    """How often it ran."""

    runs: int


class Deed(Tool[Steps, Runs]):
    """Waits until it is told to end; must not be repeated."""

    name = "deed"
    description = "Does something for good."
    arguments = Steps
    result = Runs

    def __init__(self):
        self.runs = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.fails = False

    async def run(self, arguments, call):
        self.runs += 1
        try:
            for step in range(arguments.steps):
                await call.report(step, arguments.steps, "working")
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails:
            raise ServiceUnavailableError
        return Runs(self.runs)


@pytest.fixture
def deed():
    return Deed()


@pytest.fixture
def serve(house, deed):
    """Returns a context manager: a tool server with `deed` beside the house's own tools."""
    return lambda address="": house.tools(
        address, lambda peers: app.build(house.settings, peers, house.clock, more=[deed])
    )


@pytest.fixture(params=["inproc", "unix"])
async def assistant(request, house, serve):
    address = f"unix:{house.folder}/t.sock" if request.param == "unix" else ""
    async with house.world(), serve(address) as host:
        yield Assistant(host)


async def begin_and_leave(assistant, deed, **arguments):
    async with stream(assistant.open()) as call:
        await call.write(assistant.start("deed", arguments, key="k"))
        await running(deed)


async def running(deed):
    async with asyncio.timeout(20):
        while not deed.runs:
            await asyncio.sleep(0.01)


async def test_it_goes_on_without_its_caller_who_gets_the_result_later(assistant, deed):
    await begin_and_leave(assistant, deed)
    again = asyncio.create_task(assistant.answer("deed", key="k"))
    await asyncio.sleep(0.1)
    deed.go.set()
    assert (await again).value == {"runs": 1}
    assert (await again).started.replayed
    assert (deed.runs, deed.cancelled) == (1, 0)


async def test_without_a_caller_nobody_has_to_read_its_progress(assistant, deed):
    deed.go.set()
    async with stream(assistant.open()) as call:
        await call.write(assistant.start("deed", {"steps": 50}, key="k", initial_credit=2))
        await running(deed)
        await asyncio.sleep(0.1)
    assert (await assistant.answer("deed", {"steps": 50}, key="k")).value == {"runs": 1}


async def test_a_cancel_stops_it_and_leaves_it_unknown(assistant, deed):
    async with stream(assistant.open()) as call:
        await call.write(assistant.start("deed", key="k"))
        await running(deed)
        await call.write(pb.CallToolRequest(cancel=common_pb2.Cancel()))
        last = None
        while (event := await call.read()) is not grpc.aio.EOF:
            last = event
    assert last.done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    deed.go.set()
    for _ in range(2):
        assert isinstance((await assistant.answer("deed", key="k")).error, ToolOutcomeUnknownError)
    assert (deed.runs, deed.cancelled) == (1, 1)


async def test_one_that_takes_too_long_is_unknown_at_once_and_later(assistant, deed):
    limit = {"nanos": 200_000_000}
    first = await assistant.answer("deed", key="k", time_limit=limit)
    assert isinstance(first.error, ToolOutcomeUnknownError)
    assert not first.error.retryable
    deed.go.set()
    again = await assistant.answer("deed", key="k")
    assert again.result == first.result
    assert deed.runs == 1


async def test_what_it_ended_with_stays_even_where_another_try_might_mend(assistant, deed):
    deed.fails = True
    deed.go.set()
    for _ in range(2):
        answer = await assistant.answer("deed", key="k")
        assert isinstance(answer.error, ServiceUnavailableError)
    assert deed.runs == 1


async def test_another_call_with_its_key_is_refused(house, serve, deed):
    deed.go.set()
    async with house.world():
        async with serve() as host:
            await Assistant(host).do("deed", key="k")
        async with serve() as host:
            assistant = Assistant(host)
            async with stream(assistant.open()) as call:
                await call.write(assistant.start("deed", {"steps": 1}, key="k"))
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call.read()
            assert isinstance(from_rpc_error(caught.value), InvalidArgumentError)


async def test_a_start_that_could_not_be_kept_is_none(house, serve, deed):
    deed.go.set()
    async with serve() as host:
        answer = await Assistant(host).answer("deed", key="k")
        assert isinstance(answer.error, ServiceUnavailableError)
        assert deed.runs == 0
        async with house.world():
            assert await Assistant(host).do("deed", key="k") == {"runs": 1}


async def test_of_two_servers_one_runs_it(house):
    go, runs = asyncio.Event(), []

    async def run():
        runs.append(1)
        await go.wait()
        return Outcome("{}")

    async def started(replayed):
        pass

    work = Work("id", "print", "anna", "", durable=True, once=True, run=run, started=started)
    async with house.world(), house.tools() as host:
        world = WorldModelWorld(host.peers.get("world-model"))
        ledgers = [Ledger(world, 10) for _ in range(2)]
        both = [asyncio.create_task(ledger.run(work)) for ledger in ledgers]
        (first,), _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(first.result().error, ToolOutcomeUnknownError)
        go.set()
        await asyncio.wait(both)
        assert sorted(task.result().result_json for task in both) == ["", "{}"]
        # The one that did not run it learns of the result.
        assert [(await ledger.run(work)).result_json for ledger in ledgers] == ["{}", "{}"]
    assert len(runs) == 1


async def test_a_start_that_made_room_is_still_known(house, serve, deed):
    deed.go.set()
    house.settings = Settings(kept_results=2)
    async with house.world(), serve() as host:
        assistant = Assistant(host)
        for number in range(5):
            await assistant.do("deed", key=f"{number}")
        assert isinstance((await assistant.answer("deed", key="0")).error, ToolOutcomeUnknownError)
        assert (await assistant.answer("deed", key="4")).value == {"runs": 5}
    assert deed.runs == 5


async def test_without_a_key_every_call_is_one_of_its_own(assistant, deed):
    deed.go.set()
    assert [await assistant.do("deed") for _ in range(2)] == [{"runs": 1}, {"runs": 2}]
