"""Tools in a turn: the server's, the client's, several, slow, broken."""

import asyncio
import json

import pytest

from ensemble.core.errors import EnsembleError, ServiceUnavailableError, ToolFailedError
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.testkit.scripted.model_router import Reply
from ensemble.v1 import common_pb2, model_router_service_pb2, tool_pb2

pytestmark = pytest.mark.unit


async def test_a_tool_runs_and_its_result_reaches_the_model(rig) -> None:
    rig.peers.tools.add("set_device", lambda arguments: arguments | {"done": True})
    arguments = '{"room": "kitchen", "level": 9007199254740993}'
    rig.peers.router.call("set_device", arguments)
    rig.peers.router.say("The light is on.")
    async with rig.client() as client:
        await client.say("light on")
        await client.finish()
    (call,) = client.of("response_tool_call")
    (done,) = client.of("response_tool_done")
    assert call.executor == tool_pb2.TOOL_EXECUTOR_SERVER
    assert call.call.arguments_json == arguments
    assert json.loads(done.result.result_json)["level"] == 9007199254740993
    (start,) = rig.peers.tools.calls
    assert start.call.arguments_json == arguments
    assert start.context.session_id == client.session_id
    assert call.call.call_id in start.context.idempotency_key
    asked = rig.peers.router.starts[1].messages
    assert asked[-2].tool_calls[0].name == "set_device"
    assert asked[-1].role == model_router_service_pb2.ROLE_TOOL
    assert asked[-1].tool_results[0].result_json == done.result.result_json
    kinds = client.kinds()
    assert kinds.index("response_tool_call") < kinds.index("response_tool_done")
    assert client.of("response_done")[0].usage.input_tokens == 20
    assert [tool.name for tool in rig.peers.router.starts[0].tools] == ["set_device"]


async def test_what_a_tool_did_stays_in_the_history(rig) -> None:
    rig.peers.tools.add("look", lambda arguments: {"seen": 1})
    rig.peers.router.replies.append(Reply(["Let me look."], calls=[("look", "{}")]))
    rig.peers.router.say("I see one.")
    rig.peers.router.say("Yes.")
    async with rig.client() as client:
        await client.say("look")
        await client.until("response_done")
        await client.say("really")
        await client.finish()
    first = client.of("response_started")[0].response_id
    assert client.text(first) == "Let me look. I see one."
    messages = rig.peers.router.starts[2].messages
    assert [(message.role, message.text.strip()) for message in messages] == [
        (model_router_service_pb2.ROLE_USER, "look"),
        (model_router_service_pb2.ROLE_ASSISTANT, "Let me look."),
        (model_router_service_pb2.ROLE_TOOL, ""),
        (model_router_service_pb2.ROLE_ASSISTANT, "I see one."),
        (model_router_service_pb2.ROLE_USER, "really"),
    ]


async def test_several_tools_run_at_the_same_time_and_keep_their_order(rig) -> None:
    for name in ("a", "b", "c"):
        rig.peers.tools.add(name, lambda arguments, name=name: name, seconds=0.1, progress=2)
    rig.peers.router.replies.append(Reply(calls=[("a", "{}"), ("b", "{}"), ("c", "{}")]))
    rig.peers.router.say("done")
    async with rig.client() as client:
        await client.say("all")
        await client.finish()
    assert rig.peers.tools.most == 3
    results = rig.peers.router.starts[1].messages[-1].tool_results
    assert [result.result_json for result in results] == ['"a"', '"b"', '"c"']
    assert len(client.of("response_tool_progress")) == 6


async def test_calls_keep_ids_of_their_own(rig) -> None:
    rig.peers.tools.add("a", lambda arguments: 1)
    for _ in range(2):
        rig.peers.router.call("a")
        rig.peers.router._ids = iter(["1", "1"])
    rig.peers.router.say("done")
    async with rig.client() as client:
        await client.say("twice")
        await client.finish()
    assert len({call.call.call_id for call in client.of("response_tool_call")}) == 2


async def test_a_tool_that_fails_is_told_to_the_model(rig) -> None:
    def fail(arguments: object) -> None:
        raise ToolFailedError("No such lamp.")

    rig.peers.tools.add("lamp", fail)
    rig.peers.router.call("lamp")
    rig.peers.router.call("absent")
    rig.peers.router.say("There is none.")
    async with rig.client() as client:
        await client.say("lamp")
        await client.finish()
    told = rig.peers.router.starts[1].messages[-1].tool_results[0].result_json
    assert json.loads(told) == {"error": "TOOL_FAILED", "message": "No such lamp."}
    told = rig.peers.router.starts[2].messages[-1].tool_results[0].result_json
    assert json.loads(told)["error"] == "TOOL_NOT_FOUND"
    assert client.of("response_tool_done")[0].result.HasField("error")
    assert client.of("response_done")[0].stop_reason == common_pb2.STOP_REASON_COMPLETED


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ServiceUnavailableError("The house is out."), "The tool server is not available."),
        (EnsembleError(), "The tool failed."),
    ],
)
async def test_what_failed_inside_is_told_to_a_model_in_plain_words(
    rig, error: EnsembleError, message: str
) -> None:
    def fail(arguments: object) -> None:
        raise error

    rig.peers.tools.add("lamp", fail)
    rig.peers.router.call("lamp")
    rig.peers.router.say("It did not work.")
    async with rig.client() as client:
        await client.say("lamp")
        await client.finish()
    told = rig.peers.router.starts[1].messages[-1].tool_results[0].result_json
    assert json.loads(told) == {"error": "TOOL_FAILED", "message": message}
    assert error.reason in str(client.of("response_tool_done")[0].result.error)


async def test_a_call_that_was_cut_off_is_issued_once_more_with_its_key(rig) -> None:
    rig.peers.tools.add("a", lambda arguments: 1)
    rig.peers.tools.break_calls = 1
    rig.peers.tools.break_with = ServiceUnavailableError()
    rig.peers.router.call("a")
    rig.peers.router.say("done")
    async with rig.client() as client:
        await client.say("a")
        await client.finish()
    first, second = rig.peers.tools.calls
    assert first.context.idempotency_key == second.context.idempotency_key
    assert (first.context.attempt, second.context.attempt) == (1, 2)
    assert client.of("response_tool_done")[0].result.result_json == "1"


async def test_a_tool_that_takes_too_long(peers, tmp_path) -> None:
    from orchestrator_rig import Rig

    peers.tools.add("slow", lambda arguments: 1, seconds=30)
    peers.router.call("slow")
    peers.router.say("It took too long.")
    rig = Rig(peers, OrchestratorSettings(log=tmp_path / "l.db", tool_s=0.2))
    await rig.start()
    async with rig.client() as client:
        await client.say("slow")
        await client.finish()
    # It may be at work still, and nothing says that a second run would do no harm.
    assert "TOOL_OUTCOME_UNKNOWN" in str(client.of("response_tool_done")[0].result.error)
    await rig.stop()
    assert peers.tools.cancelled == 1


async def test_a_client_runs_its_own_tool(rig) -> None:
    rig.peers.router.call("camera", '{"zoom": 2}')
    rig.peers.router.say("I see a cat.")
    config = {"client_tools": [{"name": "camera", "input_schema_json": "{}"}]}
    async with rig.client(config=config) as client:
        await client.say("look")
        asked = (await client.until("response_tool_call")).response_tool_call
        assert asked.executor == tool_pb2.TOOL_EXECUTOR_CLIENT
        await client.send(tool_result={"call_id": "another", "result_json": "1"})
        await client.until("error")
        await client.send(
            tool_result={"call_id": asked.call.call_id, "result_json": '{"sees": "cat"}'}
        )
        await client.finish()
    assert rig.peers.tools.calls == []
    told = rig.peers.router.starts[1].messages[-1].tool_results[0]
    assert told.result_json == '{"sees": "cat"}'
    assert client.text() == "I see a cat."


async def test_a_client_that_never_answers_its_tool(peers, tmp_path) -> None:
    from orchestrator_rig import Rig

    peers.router.call("camera")
    peers.router.say("I cannot see.")
    rig = Rig(peers, OrchestratorSettings(log=tmp_path / "l.db", client_tool_s=0.1))
    await rig.start()
    config = {"client_tools": [{"name": "camera", "input_schema_json": "{}"}]}
    async with rig.client(config=config) as client:
        await client.say("look")
        await client.finish()
    assert "TOOL_TIMEOUT" in str(client.of("response_tool_done")[0].result.error)
    await rig.stop()


async def test_an_interruption_cancels_the_tool(rig) -> None:
    rig.peers.tools.add("slow", lambda arguments: 1, seconds=30)
    rig.peers.router.call("slow")
    async with rig.client() as client:
        await client.say("slow")
        await client.until("response_tool_call")
        await asyncio.sleep(0.05)
        await client.send(response_cancel={})
        await client.finish()
        assert client.of("response_done")[0].stop_reason == common_pb2.STOP_REASON_CANCELLED
        await client.vanish()
    from orchestrator_rig import eventually

    await eventually(lambda: rig.peers.tools.cancelled == 1)


async def test_a_model_that_asks_for_tools_without_end_is_stopped(rig) -> None:
    rig.peers.tools.add("a", lambda arguments: 1)
    rig.peers.router.default = Reply(calls=[("a", "{}")])
    async with rig.client() as client:
        await client.say("loop")
        await client.finish()
    assert len(rig.peers.tools.calls) == 9
    assert client.of("response_done")[0].stop_reason == common_pb2.STOP_REASON_FAILED


async def test_the_tools_are_asked_for_once(rig) -> None:
    rig.peers.tools.add("a", lambda arguments: 1)
    async with rig.client() as client:
        for number in range(3):
            await client.say("hello")
            await client.until("response_done", number + 1)
    assert rig.peers.tools.listed == 1
