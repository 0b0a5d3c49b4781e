import asyncio

import grpc
import pytest
from tool_house import Assistant

from ensemble.core.errors import (
    InvalidArgumentError,
    ServiceUnavailableError,
    ToolOutcomeUnknownError,
)
from ensemble.tool_server import app, claims
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


class Twins:
    """Two ledgers on one world model, as two tool servers have them, and one deed."""

    def __init__(self, world):
        self.ledgers = [Ledger(world, 10) for _ in range(2)]
        self.go = asyncio.Event()
        self.runs = 0
        self.told = []

    async def _run(self):
        self.runs += 1
        await self.go.wait()
        return Outcome("{}")

    async def _started(self, replayed):
        self.told.append(replayed)

    def ask(self, ledger, patience=60.0, fingerprint="print"):
        work = Work("id", fingerprint, "anna", "", durable=True, once=True, patience=patience,
                    run=self._run, started=self._started)  # fmt: skip
        return asyncio.create_task(ledger.run(work))

    async def begin(self):
        """Asks the first; returns when it runs there."""
        task = self.ask(self.ledgers[0])
        async with asyncio.timeout(20):
            while not self.runs:
                await asyncio.sleep(0.01)
        return task


@pytest.fixture
async def twins(house):
    async with house.world(), house.tools() as host:
        yield Twins(WorldModelWorld(host.peers.get("world-model")))


async def test_of_two_servers_one_runs_it_and_the_other_waits_for_its_end(twins):
    both = [twins.ask(ledger) for ledger in twins.ledgers]
    # Longer than a server may be silent: the one that runs it shows that it lives.
    await asyncio.wait(both, timeout=claims.SILENCE + 1)
    assert not any(task.done() for task in both)
    assert sorted(twins.told) == [False, True]
    twins.go.set()
    assert [(await task).result_json for task in both] == ["{}", "{}"]
    assert [(await twins.ask(ledger)).result_json for ledger in twins.ledgers] == ["{}", "{}"]
    assert twins.runs == 1


async def test_whoever_waits_for_another_server_waits_no_longer_than_he_may(twins):
    first = await twins.begin()
    late = await twins.ask(twins.ledgers[1], patience=0.2)
    assert isinstance(late.error, ToolOutcomeUnknownError)
    twins.go.set()
    assert (await first).result_json == "{}"
    # It was not known then; it is now.
    assert (await twins.ask(twins.ledgers[1])).result_json == "{}"


async def test_a_server_that_falls_silent_is_not_waited_for(twins, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 3600.0)
    monkeypatch.setattr(claims, "SILENCE", 0.3)
    first = await twins.begin()
    for _ in range(2):
        outcome = await asyncio.wait_for(twins.ask(twins.ledgers[1]), 20)
        assert isinstance(outcome.error, ToolOutcomeUnknownError)
    monkeypatch.setattr(claims, "SILENCE", 3600.0)
    # Known to be dead: not waited for a second time.
    assert (await asyncio.wait_for(twins.ask(twins.ledgers[1]), 20)).error
    twins.go.set()
    assert (await first).result_json == "{}"
    assert (await twins.ask(twins.ledgers[1])).result_json == "{}"


async def test_another_call_with_the_key_of_one_under_way_is_refused_at_once(twins):
    first = await twins.begin()
    with pytest.raises(InvalidArgumentError):
        await asyncio.wait_for(twins.ask(twins.ledgers[1], fingerprint="other"), 20)
    twins.go.set()
    await first


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
