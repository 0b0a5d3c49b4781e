"""Timers and reminders that fall due are told, each once."""

import asyncio

import pytest
from orchestrator_rig import audio_out, eventually

from ensemble.v1 import session_pb2

pytestmark = pytest.mark.unit

DUE = "2026-11-21T10:00:00+00:00"


async def fire(rig, name: str, session_id: str = "", principal: str = "ada") -> None:
    known = {"session_id": session_id, "principal": principal, "due_at": DUE}
    await rig.peers.world.change("timer", name, status="pending", **known)
    label = f"Your timer {name} is done."
    await rig.peers.world.change("timer", name, status="fired", label=label, **known)


async def test_a_firing_is_told_to_the_session_that_asked(rig) -> None:
    async with rig.client("ada") as asking, rig.client("ada") as other:
        await asking.until("started")
        await other.until("started")
        await fire(rig, "t1", asking.session_id)
        event = await asking.until("notice")
        await asyncio.sleep(0.05)
    assert event.sequence
    assert event.notice.subject_id == "t1"
    assert event.notice.kind == "timer"
    assert event.notice.text == "Your timer t1 is done."
    assert event.notice.due_at.ToJsonString() == "2026-11-21T10:00:00Z"
    assert other.of("notice") == []


async def test_while_nobody_is_there_the_persons_other_sessions_hear_it(rig) -> None:
    async with rig.client("ada") as gone:
        await gone.until("started")
    async with rig.client("ada") as other, rig.client("bob") as stranger:
        await other.until("started")
        await stranger.until("started")
        await eventually(lambda: rig.service._sessions.find_live(gone.session_id).outbox is None)
        await fire(rig, "t1", gone.session_id)
        await other.until("notice")
        assert stranger.of("notice") == []


async def test_while_nobody_is_there_at_all_it_waits(rig) -> None:
    await eventually(lambda: rig.peers.world.watches >= 2)
    await fire(rig, "t1")
    await fire(rig, "t2")
    await asyncio.sleep(0.1)
    async with rig.client("bob") as stranger:
        await stranger.until("started")
        await asyncio.sleep(0.05)
        assert stranger.of("notice") == []
    async with rig.client("ada") as client:
        await client.until("notice", 2)
        assert [notice.subject_id for notice in client.of("notice")] == ["t1", "t2"]
    async with rig.client("ada") as client:
        await client.until("started")
        await asyncio.sleep(0.05)
        assert client.of("notice") == []


async def test_it_is_told_after_a_restart_and_only_once(rig) -> None:
    await rig.stop()
    await fire(rig, "t1")
    await rig.start()
    async with rig.client("ada") as client:
        await client.until("notice")
    await rig.restart()
    async with rig.client("ada") as client:
        await client.until("started")
        await fire(rig, "t2", client.session_id)
        await client.until("notice")
        await asyncio.sleep(0.05)
        assert [notice.subject_id for notice in client.of("notice")] == ["t2"]


async def test_a_later_change_of_what_fired_is_not_told_again(rig) -> None:
    async with rig.client("ada") as client:
        await client.until("started")
        await fire(rig, "t1", client.session_id)
        await client.until("notice")
        await rig.peers.world.change("timer", "t1", status="fired", label="again", principal="ada")
        await rig.peers.world.change("timer", "t2", status="cancelled", principal="ada")
        await fire(rig, "t3", client.session_id)
        await client.until("notice", 2)
    assert [notice.subject_id for notice in client.of("notice")] == ["t1", "t3"]


async def test_a_session_with_a_voice_says_it(rig) -> None:
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client("ada", config=config) as client:
        await client.until("started")
        await fire(rig, "t1", client.session_id)
        await client.until("response_done")
    (started,) = client.of("response_started")
    assert started.turn_id == ""
    assert client.text() == "Your timer t1 is done."
    assert client.of("response_audio_done")
    assert client.of("response_model") == []


async def test_it_is_said_after_what_is_being_said(rig) -> None:
    rig.peers.router.say("one two three four")
    config = session_pb2.SessionConfig(output_audio=audio_out())
    async with rig.client("ada", config=config) as client:
        await client.say("count")
        await client.until("response_audio_delta")
        await fire(rig, "t1", client.session_id)
        await client.until("response_done", 2)
    first, second = client.of("response_started")
    assert client.text(first.response_id) == "one two three four"
    assert client.text(second.response_id) == "Your timer t1 is done."


async def test_a_world_model_that_was_away_is_followed_again(rig) -> None:
    async with rig.client("ada") as client:
        await client.until("started")
        await rig.peers.stop("world-model")
        await fire(rig, "t1", client.session_id)
        await rig.peers.serve("world-model")
        await client.until("notice")
