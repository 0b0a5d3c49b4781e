"""Sessions come into memory: made, read one by one, or many at once."""

import asyncio
from typing import Any

import pytest
from conftest import STORES, settings_on
from orchestrator_rig import eventually, voice_config

from ensemble.eventlog import Append, EventLog, StreamKey
from ensemble.orchestrator.conversation import Conversation
from ensemble.orchestrator.loading import load
from ensemble.orchestrator.sessions import Owner
from ensemble.orchestrator.stored import session_key
from ensemble.v1 import common_pb2, orchestrator_service_pb2, session_events_pb2, session_pb2

pytestmark = pytest.mark.unit


@pytest.fixture(params=STORES)
async def settings(request, tmp_path):  # type: ignore[no-untyped-def]
    async with settings_on(request.param, tmp_path) as chosen:
        yield chosen


def told(conversation: Conversation) -> list[Any]:
    return [
        conversation.session,
        conversation.accepted,
        conversation.state,
        conversation.open_answer,
        conversation.last_said,
        conversation.messages("be kind", 100),
    ]


async def loaded(log: EventLog, session_id: str) -> Conversation:
    (found,) = await load(log, [session_id], 200)
    assert found is not None
    return found.conversation


async def test_a_session_that_was_just_made_is_as_if_it_were_read(rig) -> None:  # type: ignore[no-untyped-def]
    config = voice_config(instructions="Be brief.", budget_id="b")
    history = [
        session_pb2.HistoryItem(role=session_pb2.HISTORY_ROLE_USER, text="hi"),
        session_pb2.HistoryItem(role=session_pb2.HISTORY_ROLE_ASSISTANT, text="Hello!"),
    ]
    sessions, log = rig.service._sessions, rig.service._log
    live, new = await sessions.open(Owner("", "ann"), config, history, "request")
    assert new
    conversation = live.session.conversation
    assert conversation.session.create_time.seconds > 0
    assert told(conversation) == told(await loaded(log, live.session.session_id))
    again, new = await sessions.open(Owner("", "ann"), config, history, "request")
    assert again is live
    assert not new


async def test_one_that_is_made_twice_at_once_is_one(rig) -> None:  # type: ignore[no-untyped-def]
    sessions, log = rig.service._sessions, rig.service._log
    head = log.head

    async def slow(stream: StreamKey) -> Any:
        await asyncio.sleep(0.05)
        return await head(stream)

    log.head = slow
    for number in range(5):
        making = (sessions.open(Owner("", "ann"), voice_config(), (), str(number)) for _ in "123")
        made = await asyncio.gather(*making)
        assert len({id(live) for live, _ in made}) == 1
        assert sum(new for _, new in made) == 1


def _said(branch: str, seq: int, **event: Any) -> Append:
    payload = session_events_pb2.ServerEvent(**{branch: event}).SerializeToString()
    return Append(StreamKey("session", "ses"), branch, payload, expected_seq=seq)


async def test_a_long_record_is_read_to_its_end(rig) -> None:  # type: ignore[no-untyped-def]
    made = orchestrator_service_pb2.OpenSessionRequest().SerializeToString()
    events = [Append(StreamKey("session", "ses"), "session_created", made, expected_seq=0)]
    events += [
        _said("input_committed", seq, turn_id=f"turn{seq}", text=f"{seq}") for seq in range(1, 600)
    ]
    await rig.service._log.append(events)
    conversation = await loaded(rig.service._log, "ses")
    assert conversation.session.last_sequence == 600
    assert conversation.last_said is not None
    assert conversation.last_said.text == "599"
    assert await load(rig.service._log, ["none"], 200) == [None]


async def test_many_go_on_at_once_and_one_that_may_not_is_ended(rig) -> None:  # type: ignore[no-untyped-def]
    clients = [rig.client() for _ in range(5)]
    for client in clients:
        rig.peers.router.say("never said", first_s=30.0)
        async with client:
            await client.say("hello")
            await client.until("response_started")
    ended = clients[2]
    resumed = session_events_pb2.ServerEvent(response_resumed={})
    once = Append(session_key(ended.session_id), "response_resumed", resumed.SerializeToString())
    await rig.service._log.append([once], fence=rig.service._membership.fence)
    unreadable = Append(StreamKey("session", "ses"), "session_created", b"\xff", mark="open")
    await rig.service._log.append([unreadable])
    for _ in clients:
        rig.peers.router.say("Hello!")
    await rig.restart()
    await eventually(lambda: rig.peers.router.finished >= 4)
    for client in clients:
        start = {"session_id": client.session_id, "resume_from_sequence": 0}
        async with rig.client(**start) as back:
            done = (await back.until("response_done")).response_done
        said = "" if client is ended else "Hello!"
        assert (back.text(), done.stop_reason == common_pb2.STOP_REASON_COMPLETED) == (
            said,
            bool(said),
        )


async def test_a_session_is_in_memory_once_whoever_asks_for_it_meanwhile(rig) -> None:  # type: ignore[no-untyped-def]
    owner, config = Owner("", "ann"), session_pb2.SessionConfig()
    made = [await rig.service._sessions.open(owner, config) for _ in range(3)]
    a, b, c = (live.session.session_id for live, _ in made)
    await rig.restart()
    sessions = rig.service._sessions
    await rig.service._membership.hold([StreamKey("session", each) for each in (a, b, c)])
    loading = asyncio.create_task(sessions.get(owner, b))
    await asyncio.sleep(0)
    taking_up = asyncio.create_task(sessions._take_up([a, b, c]))
    await asyncio.sleep(0)
    asked = [asyncio.create_task(sessions.get(owner, each)) for each in (a, c)]
    await asyncio.gather(loading, taking_up, *asked)
    assert taking_up.result() == {}
    first, second = (task.result() for task in asked)
    assert await sessions.get(owner, a) is first
    assert await sessions.get(owner, b) is loading.result()
    assert await sessions.get(owner, c) is second
