"""Typed turns, through the real servicer."""

import grpc
import pytest

from ensemble.core.errors import (
    EngineFailedError,
    EnsembleError,
    ModelUnavailableError,
    SessionNotFoundError,
    WrongFirstMessageError,
)
from ensemble.orchestrator.conversation import Conversation
from ensemble.testkit.scripted.model_router import Reply, words
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import common_pb2, model_router_service_pb2, orchestrator_service_pb2

pytestmark = pytest.mark.unit


async def test_a_typed_turn_is_answered(rig) -> None:
    rig.peers.router.say("The light is on now.")
    async with rig.client() as client:
        await client.say("turn on the light")
        events = await client.finish()
    assert client.text() == "The light is on now."
    assert client.of("input_committed")[0].text == "turn on the light"
    assert client.of("response_text_done")[0].text == "The light is on now."
    (done,) = client.of("response_done")
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert done.outcome == common_pb2.OUTCOME_ANSWERED
    assert done.usage.output_tokens == 5
    assert done.heard.end == len("The light is on now.")
    assert client.of("response_model")[0].model.model == "scripted"
    sequences = [event.sequence for event in events if event.sequence]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len({event.event_id for event in events}) == len(events)
    kinds = [event.WhichOneof("event") for event in events if event.sequence]
    assert kinds[:3] == ["started", "input_committed", "response_started"]
    assert kinds[-2:] == ["response_text_done", "response_done"]


async def test_the_model_gets_history_and_instructions(rig) -> None:
    rig.peers.router.say("Hello Ada.")
    rig.peers.router.say("You are Ada.")
    history = [
        {"role": "HISTORY_ROLE_USER", "text": "I am Ada"},
        {"role": "HISTORY_ROLE_ASSISTANT", "text": "Noted."},
    ]
    config = {"instructions": "Be brief.", "model": "small", "max_output_tokens": 7}
    async with rig.client(config=config, history=history) as client:
        await client.say("hello")
        await client.until("response_done")
        await client.say("who am I")
        await client.finish()
    second = rig.peers.router.starts[1]
    assert [(message.role, message.text) for message in second.messages] == [
        (model_router_service_pb2.ROLE_SYSTEM, "Be brief."),
        (model_router_service_pb2.ROLE_USER, "I am Ada"),
        (model_router_service_pb2.ROLE_ASSISTANT, "Noted."),
        (model_router_service_pb2.ROLE_USER, "hello"),
        (model_router_service_pb2.ROLE_ASSISTANT, "Hello Ada."),
        (model_router_service_pb2.ROLE_USER, "who am I"),
    ]
    assert (second.model, second.max_output_tokens) == ("small", 7)
    assert second.context.session_id == client.session_id
    assert second.context.response_id == client.of("response_started")[1].response_id


async def test_a_declined_turn_says_so(rig) -> None:
    rig.peers.router.say("I cannot do that.", outcome=common_pb2.OUTCOME_DECLINED)
    async with rig.client() as client:
        await client.say("fly me to the moon")
        await client.finish()
    assert client.of("response_done")[0].outcome == common_pb2.OUTCOME_DECLINED


async def test_input_is_accepted_once_it_is_committed_and_a_repeat_is_dropped(rig) -> None:
    async with rig.client() as client:
        await client.say("one", item=1)
        await client.until("response_done")
        await client.say("one", item=1)
        await client.say("two", item=2)
        await client.finish()
    assert [said.text for said in client.of("input_committed")] == ["one", "two"]
    assert [said.accepted.text_items for said in client.of("input_committed")] == [1, 2]
    kinds = client.kinds()
    assert kinds.index("input_committed") < kinds.index("input_accepted")
    assert client.of("input_accepted")[-1].text_items == 2


async def test_a_second_text_interrupts_the_answer_to_the_first(rig) -> None:
    rig.peers.router.say("one two three four five six", token_s=0.1)
    rig.peers.router.say("done")
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
        await client.say("stop that")
        await client.finish()
    first, second = client.of("response_done")
    assert first.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    assert second.stop_reason == common_pb2.STOP_REASON_COMPLETED
    heard = client.text(first.response_id)
    assert first.heard.end == len(heard) < len("one two three four five six")
    assert rig.peers.router.starts[1].messages[1].text == heard
    assert rig.peers.router.cancelled == 1


async def test_an_answer_can_be_cancelled(rig) -> None:
    rig.peers.router.say("one two three four five six", token_s=0.1)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
        await client.send(response_cancel={"response_id": "somebody else's"})
        await client.send(response_cancel={})
        await client.finish()
    (done,) = client.of("response_done")
    assert done.stop_reason == common_pb2.STOP_REASON_CANCELLED


async def test_manual_responses_wait_to_be_asked_for(rig) -> None:
    async with rig.client(config={"manual_response": True}) as client:
        await client.send(response_create={})
        await client.until("error")
        await client.say("hello")
        await client.until("input_committed")
        await client.say("are you there")
        await client.until("input_committed", 2)
        assert client.of("response_started") == []
        await client.send(response_create={})
        await client.finish()
    assert client.of("response_started")[0].turn_id == client.of("input_committed")[1].turn_id
    asked = [message.text for message in rig.peers.router.starts[0].messages]
    assert asked == ["hello", "are you there"]


async def test_a_model_that_breaks_goes_on_from_what_was_committed(rig) -> None:

    broken = Reply(words("The light is on now."), fail_after=3, error=EngineFailedError())
    rig.peers.router.replies.append(broken)
    rig.peers.router.replies.append(Reply([" on", " now."]))
    async with rig.client() as client:
        await client.say("light")
        await client.finish()
    assert client.text() == "The light is on now."
    assert client.of("response_done")[0].stop_reason == common_pb2.STOP_REASON_COMPLETED
    again = rig.peers.router.starts[1]
    assert again.committed_text == "The light is"
    assert again.context.attempt == 2
    assert again.context.purpose == common_pb2.PURPOSE_RESUME


async def test_a_model_that_breaks_twice_fails_the_answer_but_not_the_session(rig) -> None:

    for _ in range(2):
        rig.peers.router.replies.append(
            Reply(words("a b c"), fail_after=1, error=EngineFailedError())
        )
    rig.peers.router.say("better")
    async with rig.client() as client:
        await client.say("hello")
        done = (await client.until("response_done")).response_done
        assert done.stop_reason == common_pb2.STOP_REASON_FAILED
        assert "ENGINE_FAILED" in str(done.error)
        await client.say("again")
        await client.finish()
    assert client.text(client.of("response_started")[1].response_id) == "better"


async def test_no_model_is_a_typed_failure(rig) -> None:

    rig.peers.router.default = Reply(["x"], fail_after=0, error=ModelUnavailableError())
    async with rig.client() as client:
        await client.say("hello")
        await client.finish()
    (done,) = client.of("response_done")
    assert "MODEL_UNAVAILABLE" in str(done.error)
    assert done.heard.end == 0
    assert len(rig.peers.router.starts) == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.stub.HandleTurn(orchestrator_service_pb2.HandleTurnRequest(text="hello"))
    assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"


async def test_a_model_that_cannot_go_on_begins_anew(rig) -> None:
    interrupted = common_pb2.STOP_REASON_INTERRUPTED
    rig.peers.router.replies.append(Reply(["The"], stop_reason=interrupted))
    rig.peers.router.say("The light is on.")
    async with rig.client() as client:
        await client.say("light")
        await client.finish()
    first, second = client.of("response_done")
    assert first.stop_reason == interrupted
    assert client.text(second.response_id) == "The light is on."
    assert len({started.turn_id for started in client.of("response_started")}) == 1
    assert [m.text for m in rig.peers.router.starts[1].messages] == ["light"]


async def test_a_router_that_is_away_fails_retryably(peers, rig) -> None:
    await peers.stop("model-router")
    async with rig.client() as client:
        await client.say("hello")
        await client.finish()
    (done,) = client.of("response_done")
    assert done.stop_reason == common_pb2.STOP_REASON_FAILED
    assert '"retryable"' in str(done.error) or "retryable" in str(done.error)


async def test_the_first_message_must_be_the_start(rig) -> None:
    call = rig.stub.RunSession()
    await call.write(
        orchestrator_service_pb2.RunSessionRequest(event={"input_text": {"text": "hi"}})
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert isinstance(from_rpc_error(caught.value), WrongFirstMessageError)


async def test_a_second_start_ends_the_stream(rig) -> None:
    async with rig.client() as client:
        await client.send(start={})
        with pytest.raises(EnsembleError) as caught:
            await client.until("response_done")
    assert getattr(caught.value, "reason", "") == "UNEXPECTED_MESSAGE"


async def test_bad_messages_are_refused_and_the_service_lives(rig) -> None:
    async with rig.client() as client:
        await client.send(input_text={"text": "x" * 70_000})
        with pytest.raises(EnsembleError) as caught:
            await client.until("response_done")
        assert getattr(caught.value, "reason", "") == "INVALID_ARGUMENT"
    async with rig.client() as client:
        with pytest.raises((EnsembleError, grpc.RpcError)) as caught:
            await client.send(input_audio={"data": b"x" * 5_000_000})
            await client.until("response_done")
    async with rig.client() as client:
        await client.say("hello")
        await client.finish()
    assert client.text() == "I am fine."


async def test_half_a_character_never_enters_a_message(rig) -> None:
    rig.peers.router.replies.append(Reply(["Gr", "üße ", "👋", "🏽"]))
    async with rig.client() as client:
        await client.say("grüß mich 👋🏽")
        await client.finish()
    assert client.text() == "Grüße 👋🏽"
    assert client.of("response_done")[0].heard.end == len("Grüße 👋🏽")


async def test_a_turn_in_one_call(rig) -> None:
    rig.peers.tools.add("get_time", lambda arguments: {"time": "14:05"})
    rig.peers.router.call("get_time")
    rig.peers.router.say("It is 14:05.")
    answer = await rig.stub.HandleTurn(
        orchestrator_service_pb2.HandleTurnRequest(text="what time is it")
    )
    assert answer.text == "It is 14:05."
    assert answer.tools[0].call.name == "get_time"
    assert answer.tools[0].result.result_json == '{"time": "14:05"}'
    assert answer.outcome == common_pb2.OUTCOME_ANSWERED
    assert answer.usage.input_tokens == 20
    again = await rig.stub.HandleTurn(
        orchestrator_service_pb2.HandleTurnRequest(session_id=answer.session_id, text="thanks")
    )
    assert again.session_id == answer.session_id
    assert again.text == "I am fine."


async def test_sessions_are_made_found_and_kept_apart(rig) -> None:
    mine, theirs = (
        (("x-ensemble-principal", "ada"),),
        (("x-ensemble-principal", "bob"),),
    )
    made = [
        (
            await rig.stub.OpenSession(
                orchestrator_service_pb2.OpenSessionRequest(config={"language": f"l{n}"}),
                metadata=mine,
            )
        ).session.session_id
        for n in range(5)
    ]
    same = orchestrator_service_pb2.OpenSessionRequest(request_id="r1")
    first = await rig.stub.OpenSession(same, metadata=mine)
    second = await rig.stub.OpenSession(same, metadata=mine)
    other = await rig.stub.OpenSession(same, metadata=theirs)
    assert first.session.session_id == second.session.session_id != other.session.session_id
    found, token = [], ""
    while True:
        page = await rig.stub.FindSessions(
            orchestrator_service_pb2.FindSessionsRequest(page_size=4, page_token=token),
            metadata=mine,
        )
        found += [session.session_id for session in page.sessions]
        token = page.next_page_token
        if not token:
            break
    assert found == [first.session.session_id, *reversed(made)]
    described = await rig.stub.DescribeSession(
        orchestrator_service_pb2.DescribeSessionRequest(session_id=made[2]), metadata=mine
    )
    assert described.session.config.language == "l2"
    assert described.session.HasField("create_time")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.stub.DescribeSession(
            orchestrator_service_pb2.DescribeSessionRequest(session_id=made[2]), metadata=theirs
        )
    assert isinstance(from_rpc_error(caught.value), SessionNotFoundError)


def test_a_new_conversation_has_nothing_to_answer() -> None:
    conversation = Conversation("ses_1", 8)
    assert conversation.last_said is None
    assert conversation.messages("", 10) == []


async def test_an_answer_without_end_is_stopped_before_it_is_too_large_to_be_sent(rig) -> None:
    rig.peers.router.default = Reply(["\N{ALCHEMICAL SYMBOL FOR GOLD}" * 4000] * 3000)
    async with rig.client() as client:
        await client.say("on and on")
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_MAX_OUTPUT_TOKENS
    assert client.of("response_text_done")[0].text == client.text()
    assert len(client.text()) == 1_000_000
