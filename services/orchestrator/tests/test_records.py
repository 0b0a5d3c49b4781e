"""Records of sessions: read, followed, audited, erased."""

import asyncio
import sqlite3

import grpc
import pytest

from ensemble.core.errors import (
    EventTooNewError,
    SessionNotFoundError,
    StorageCorruptError,
    UnexpectedMessageError,
)
from ensemble.eventlog import Append, StreamKey
from ensemble.testkit.scripted.model_router import Reply, words
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import common_pb2, orchestrator_service_pb2, session_events_pb2

pytestmark = pytest.mark.unit

MINE = (("x-ensemble-principal", "ada"),)
YOURS = (("x-ensemble-principal", "bob"),)


async def talk(rig, text="hello", who="ada", session="") -> str:
    async with rig.client(who, session_id=session) as client:
        await client.say(text)
        await client.finish()
    return client.session_id


async def read(rig, session, metadata=MINE, **rest) -> list[session_events_pb2.ServerEvent]:
    request = orchestrator_service_pb2.ReadRecordRequest(session_id=session, **rest)
    events = [response.event async for response in rig.stub.ReadRecord(request, metadata=metadata)]
    return [event for event in events if event.sequence]


async def audit(rig, session, metadata=MINE):
    request = orchestrator_service_pb2.AuditRecordRequest(session_id=session)
    return (await rig.stub.AuditRecord(request, metadata=metadata)).audit


async def erase(rig, session="", metadata=MINE):
    request = orchestrator_service_pb2.EraseRecordsRequest(session_id=session)
    return await rig.stub.EraseRecords(request, metadata=metadata)


async def refused(awaitable, error) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await awaitable
    assert isinstance(from_rpc_error(caught.value), error)


async def test_a_record_is_what_its_client_got(rig) -> None:
    async with rig.client("ada") as client:
        await client.say("hello")
        await client.finish()
    events = await read(rig, client.session_id)
    assert [(e.sequence, e.event_id, e.WhichOneof("event")) for e in events] == [
        (e.sequence, e.event_id, e.WhichOneof("event")) for e in client.record
    ]
    times = [event.created_at.ToNanoseconds() for event in events]
    assert times == sorted(times)
    assert times[0] > 0
    assert events == await read(rig, client.session_id)
    assert [e.sequence for e in await read(rig, client.session_id, after_sequence=2)] == [
        e.sequence for e in events[2:]
    ]
    assert len(rig.peers.router.starts) == 1


async def test_a_long_record_is_read_page_by_page(rig) -> None:
    session = ""
    for _ in range(60):
        session = await talk(rig, session=session)
    events = await read(rig, session)
    assert len(events) > 256
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def test_a_record_is_followed(rig) -> None:
    session = await talk(rig)
    last = (await read(rig, session))[-1].sequence
    request = orchestrator_service_pb2.ReadRecordRequest(session_id=session, follow=True)
    seen = []
    async with asyncio.timeout(10):
        call = rig.stub.ReadRecord(request, metadata=MINE)
        async for response in call:
            if response.event.WhichOneof("event") == "heartbeat":
                continue
            seen.append(response.event)
            if response.event.sequence == last:
                await talk(rig, "again", session=session)
            elif response.event.sequence > last and response.event.HasField("response_done"):
                break
        call.cancel()
    assert [event.sequence for event in seen] == list(range(1, len(seen) + 1))


async def test_records_are_only_for_whom_they_belong_to(rig) -> None:
    session = await talk(rig)
    for who, name in ((YOURS, session), (MINE, "ses_nothing")):
        await refused(read(rig, name, who), SessionNotFoundError)
        await refused(audit(rig, name, who), SessionNotFoundError)
        await refused(erase(rig, name, who), SessionNotFoundError)
    assert (await erase(rig, metadata=YOURS)).sessions == 0
    assert await read(rig, session)


async def test_a_chain_is_intact_until_somebody_changes_it(rig) -> None:
    session = await talk(rig)
    found = await audit(rig, session)
    assert (found.session_id, found.intact, found.erased) == (session, True, 0)
    assert found.events == len(await read(rig, session))
    assert len(found.chain_head) == 32
    await rig.stop()
    with sqlite3.connect(rig.settings.log) as connection:
        connection.execute(
            "UPDATE segments SET payload = cast(payload || x'00' AS BLOB) WHERE stream = "
            "(SELECT id FROM streams WHERE name = ?)",
            (session,),
        )
    connection.close()
    await rig.start()
    found = await audit(rig, session)
    assert (found.intact, found.first_bad_sequence) == (False, 1)


async def test_an_erased_session_is_gone_and_its_words_with_it(rig) -> None:
    session = await talk(rig, "the unmistakable secret")
    other = await talk(rig)
    erased = await erase(rig, session)
    assert erased.sessions == 1
    assert erased.events > 4
    await refused(read(rig, session), SessionNotFoundError)
    await refused(talk_on(rig, session), SessionNotFoundError)
    found = await rig.stub.FindSessions(
        orchestrator_service_pb2.FindSessionsRequest(), metadata=MINE
    )
    assert [each.session_id for each in found.sessions] == [other]
    await rig.restart()
    await refused(talk_on(rig, session), SessionNotFoundError)
    assert (await audit(rig, other)).intact
    await rig.stop()
    folder = rig.settings.log.parent
    left = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert b"unmistakable" not in left


async def test_which_request_made_an_erased_session_is_gone_as_well(rig) -> None:
    async with rig.client("ada", request_id="a guess") as client:
        await client.say("hello")
        await client.finish()
    await talk(rig)
    await erase(rig)
    await rig.stop()
    with sqlite3.connect(rig.settings.log) as log:
        made = log.execute(
            "SELECT g.payload FROM segments g JOIN streams s ON s.id = g.stream "
            "WHERE s.kind = 'request'"
        )
        assert made.fetchall() == [(b"",)]


async def test_one_that_cannot_be_read_does_not_hide_the_others(rig) -> None:
    sound, damaged, newer = [await talk(rig) for _ in range(3)]
    key = StreamKey("session", newer)
    fence = rig.service._membership.fence
    later = Append(key, "response_done", b"", schema_version=2)
    await rig.service._log.append([later], fence=fence)
    await rig.stop()
    with sqlite3.connect(rig.settings.log) as log:
        log.execute(
            "UPDATE segments SET payload = x'00' WHERE stream = "
            "(SELECT id FROM streams WHERE name = ?)",
            (damaged,),
        )
    await rig.start()
    found = await rig.stub.FindSessions(
        orchestrator_service_pb2.FindSessionsRequest(), metadata=MINE
    )
    unreadable = {each.session_id: each.unreadable for each in found.sessions}
    assert unreadable == {sound: False, damaged: True, newer: True}
    await refused(talk_on(rig, newer), EventTooNewError)
    await refused(anext(aiter(rig.stub.ReadRecord(of(newer), metadata=MINE))), EventTooNewError)
    await refused(talk_on(rig, damaged), StorageCorruptError)
    assert (await erase(rig)).sessions == 3


def of(session):
    return orchestrator_service_pb2.ReadRecordRequest(session_id=session)


async def test_an_answer_under_way_is_said_where_sessions_are_listed(rig) -> None:
    rig.peers.router.replies.append(Reply(words("one two three"), hang_after=2))
    async with rig.client("ada") as client:
        await client.say("count")
        await client.until("response_text_delta")
        assert await answering(rig)
        await client.send(response_cancel={})
        await client.finish()
    assert not await answering(rig)


async def answering(rig) -> bool:
    request = orchestrator_service_pb2.FindSessionsRequest()
    (session,) = (await rig.stub.FindSessions(request, metadata=MINE)).sessions
    return session.answering


async def talk_on(rig, session):
    request = orchestrator_service_pb2.HandleTurnRequest(session_id=session, text="and?")
    return await rig.stub.HandleTurn(request, metadata=MINE)


async def test_whoever_is_attached_hears_that_the_session_is_gone(rig) -> None:
    async with rig.client("ada") as client:
        await client.say("hello")
        await client.until("response_done")
        await erase(rig, client.session_id)
        async with asyncio.timeout(10):
            await client.ended.wait()
    assert isinstance(client.error, SessionNotFoundError)


async def test_nothing_is_erased_while_an_answer_is_under_way(rig) -> None:
    quiet = await talk(rig)
    rig.peers.router.replies.append(Reply(words("one two three"), hang_after=2))
    async with rig.client("ada") as client:
        await client.say("count")
        await client.until("response_text_delta")
        await refused(erase(rig, client.session_id), UnexpectedMessageError)
        with pytest.raises(grpc.RpcError, match=f"session {client.session_id}; stop it"):
            await erase(rig)
        assert await read(rig, quiet)
        await client.send(response_cancel={})
        await client.finish()
    assert (await erase(rig)).sessions == 2


async def test_all_of_one_person_is_erased(rig) -> None:
    mine = [await talk(rig) for _ in range(3)]
    yours = await talk(rig, who="bob")
    assert (await erase(rig)).sessions == 3
    for session in mine:
        await refused(read(rig, session), SessionNotFoundError)
    assert await read(rig, yours, YOURS)
    assert (await erase(rig)).sessions == 0


async def test_each_complete_call_of_a_model_is_in_the_record(rig) -> None:
    rig.peers.router.call("lamp", '{"on": true}')
    rig.peers.router.say("The lamp is on.")
    events = await read(rig, await talk(rig, "lamp on"))
    kinds = [event.WhichOneof("event") for event in events]
    first, second = (e.response_model_done for e in events if e.HasField("response_model_done"))
    assert kinds.index("response_tool_call") < kinds.index("response_model_done")
    assert kinds.index("response_model_done") < kinds.index("response_tool_done")
    assert (first.tool_calls, second.tool_calls) == (1, 0)
    assert first.stop_reason == common_pb2.STOP_REASON_TOOL_CALLS
    assert second.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert second.outcome == common_pb2.OUTCOME_ANSWERED
    assert (second.usage.input_tokens, second.usage.output_tokens) == (10, 4)
    for done in (first, second):
        assert done.first_output.ToNanoseconds() <= done.latency.ToNanoseconds()
        assert done.latency.ToNanoseconds() > 0


async def test_an_erased_session_still_verifies_and_says_no_more(rig) -> None:
    session = await talk(rig)
    before = await audit(rig, session)
    await erase(rig, session)
    for who in (MINE, YOURS):
        found = await audit(rig, session, who)
        assert (found.intact, found.events, found.erased) == (True, before.events, before.events)
        assert found.chain_head == before.chain_head
        await refused(read(rig, session, who), SessionNotFoundError)


async def test_whoever_looks_on_hears_that_the_session_is_gone(rig) -> None:
    session = await talk(rig)
    events = len(await read(rig, session))
    request = orchestrator_service_pb2.ReadRecordRequest(session_id=session, follow=True)
    seen = 0
    with pytest.raises(grpc.RpcError) as caught:
        async for response in rig.stub.ReadRecord(request, metadata=MINE):
            seen += bool(response.event.sequence)
            if seen == events and not response.event.sequence:
                await erase(rig, session)
    assert isinstance(from_rpc_error(caught.value), SessionNotFoundError)
    assert seen == events
