"""A call of a model is made twice at most, the second time with the key of the first."""

import pytest
from orchestrator_rig import Rig, eventually, voice_config

from ensemble.core.errors import ServiceUnavailableError
from ensemble.orchestrator.conversation import Conversation
from ensemble.testkit.scripted.model_router import Reply, words
from ensemble.v1 import common_pb2, model_router_service_pb2, session_events_pb2

pytestmark = pytest.mark.unit


def keys(rig: Rig) -> list[str]:
    return [start.context.idempotency_key for start in rig.peers.router.starts]


async def test_each_call_has_a_key_of_its_own_and_keeps_it(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.call("lamp")
    rig.peers.router.say("It is on.", fail_after=1, error=ServiceUnavailableError())
    rig.peers.router.say("is on.", token_s=0.3)
    async with rig.client() as client:
        await client.say("light")
        await client.until("response_text_delta", 2)
        response = client.of("response_started")[0].response_id
    rig.peers.router.say("on.")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    assert keys(rig) == [f"{response}/1", *[f"{response}/2"] * 3]
    assert [start.context.attempt for start in rig.peers.router.starts] == [1, 1, 2, 2]


async def test_who_wrote_the_committed_text_is_said(rig: Rig) -> None:
    rig.peers.router.say("one two three four", token_s=0.2, substituted_by="other")
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta", 2)
    rig.peers.router.say("and so on")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    first, again = rig.peers.router.starts
    assert (first.committed_text, first.committed_model) == ("", "")
    assert again.committed_text
    assert again.committed_model == "other"


async def test_text_after_a_tool_is_given_back_as_the_model_wrote_it(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.replies.append(Reply(words("I look."), calls=[("lamp", "{}")]))
    rig.peers.router.say("It is on now.", token_s=0.2)
    async with rig.client() as client:
        await client.say("light")
        await client.until("response_text_delta", 1, lambda e: "It" in e.response_text_delta.text)
    rig.peers.router.say(" on now.")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_done")
    assert rig.peers.router.starts[-1].committed_text.startswith("It")


async def test_a_call_that_a_living_process_made_again_is_not_made_a_third_time(rig: Rig) -> None:
    rig.peers.router.say("one two", fail_after=1, error=ServiceUnavailableError())
    rig.peers.router.say("never said", first_s=30.0)
    async with rig.client() as client:
        await client.say("count")
        await eventually(lambda: len(rig.peers.router.starts) == 2)
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        done = (await back.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    assert len(back.of("response_resumed")) == 1
    assert back.text() == "one"
    assert len(rig.peers.router.starts) == 2


def test_that_a_model_was_asked_is_no_progress() -> None:
    conversation = Conversation("ses_1", 8)
    said = {"turn_id": "t", "text": "count"}
    started = {"response_id": "r", "turn_id": "t"}
    of_r = {"response_id": "r"}
    for sequence, (branch, body) in enumerate(
        [
            ("input_committed", said),
            ("response_started", started),
            ("response_resumed", of_r),
            ("response_model", of_r),
        ],
        start=1,
    ):
        conversation.apply(session_events_pb2.ServerEvent(sequence=sequence, **{branch: body}))
        assert conversation.may_go_on == (sequence == 2)
    text = {"response_id": "r", "text": "one"}
    conversation.apply(session_events_pb2.ServerEvent(sequence=5, response_text_delta=text))
    assert conversation.may_go_on


async def test_an_answer_whose_model_had_given_up_begins_anew_after_a_restart(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.call("lamp")
    interrupted = common_pb2.STOP_REASON_INTERRUPTED
    rig.peers.router.replies.append(Reply(words("It is " * 20), stop_reason=interrupted))
    async with rig.client(config=voice_config()) as client:
        await client.say("light")
        await client.until("response_text_done")
        await client.until("response_audio_delta")
    rig.peers.router.say("It is on.")
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.until("response_started", 2)
        response = back.of("response_started")[1].response_id
        await eventually(lambda: back.text(response) == "It is on.")
    assert back.of("response_done")[0].stop_reason == interrupted
    again = rig.peers.router.starts[-1]
    assert not again.committed_text
    assert [message.role for message in again.messages] == [
        model_router_service_pb2.ROLE_USER,
        model_router_service_pb2.ROLE_ASSISTANT,
        model_router_service_pb2.ROLE_TOOL,
    ]
