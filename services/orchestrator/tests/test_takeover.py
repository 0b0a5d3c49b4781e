"""Several orchestrators on one store: who holds a conversation, and who goes on with it."""

import asyncio
import contextlib

import msgspec
import pytest
from conftest import settings_on
from orchestrator_rig import Rig, eventually

from ensemble.core.errors import SessionMovedError
from ensemble.eventlog import Append, StreamKey
from ensemble.orchestrator.membership import Membership
from ensemble.v1 import common_pb2, orchestrator_service_pb2

pytestmark = pytest.mark.unit

COUNTING = "one two three four five six"


@pytest.fixture
async def settings(tmp_path):  # type: ignore[no-untyped-def]
    async with settings_on("postgres", tmp_path) as chosen:
        yield chosen


@contextlib.asynccontextmanager
async def another(rig, slot="b"):  # type: ignore[no-untyped-def]
    """Give a second orchestrator on the same store."""
    settings = msgspec.structs.replace(rig.settings, slot=slot, advertise=f"inproc:{slot}")
    made = Rig(rig.peers, settings, slot)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def freeze(rig) -> None:  # type: ignore[no-untyped-def]
    """Let an orchestrator beat no more: to the others it is dead, and it does not know."""
    rig.service._membership._task.cancel()


@contextlib.asynccontextmanager
async def taken_over(rig, **start):  # type: ignore[no-untyped-def]
    """Give a client of a session that its holder may still seem to hold for a moment."""
    async with asyncio.timeout(5):
        while True:
            try:
                async with rig.client(**start) as client:
                    await client.until("started")
            except SessionMovedError:
                await asyncio.sleep(0.05)
            else:
                break
    async with rig.client(**start) as client:
        yield client


@contextlib.asynccontextmanager
async def running(membership):  # type: ignore[no-untyped-def]
    """Have one more beat that another process could have; it has beaten when this is entered."""

    async def fenced() -> None:
        raise AssertionError("nobody takes it for dead")

    await membership.join()
    membership.start(fenced)
    await membership.next_beat()
    try:
        yield
    finally:
        await membership.close()


async def test_a_session_held_elsewhere_is_refused_with_its_owner(rig) -> None:
    rig.peers.router.say("hello")
    async with rig.client() as client, another(rig) as second:
        await client.until("started")
        async with second.client(session_id=client.session_id) as lost:
            with pytest.raises(SessionMovedError) as caught:
                await lost.until("started")
    assert caught.value.metadata["owner"] == rig.service._membership.instance.address


async def test_what_a_dead_one_held_goes_on_elsewhere_unasked(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.8)
    async with rig.client() as client, another(rig) as second:
        await client.say("count")
        await client.until("response_text_delta", 2)
        last = client.record[-1].sequence
        rig.peers.router.say("and so on")
        freeze(rig)
        start = {"session_id": client.session_id, "resume_from_sequence": last}
        async with taken_over(second, **start) as back:
            done = (await back.until("response_done")).response_done
        with pytest.raises(SessionMovedError):
            await client.until("response_done")
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert [event.sequence for event in back.record] == list(
        range(last + 1, last + 1 + len(back.record))
    )
    heard = [event for event in client.record if event.sequence <= last]
    text = "".join(event.response_text_delta.text for event in heard) + back.text()
    assert text == back.of("response_text_done")[0].text


async def test_it_goes_on_while_nobody_is_attached(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.8)
    async with another(rig) as second:
        async with rig.client() as client:
            await client.say("count")
            await client.until("response_text_delta")
        rig.peers.router.say("done")
        freeze(rig)
        await eventually(lambda: rig.peers.router.finished == 2)
        async with second.client(session_id=client.session_id, resume_from_sequence=0) as back:
            await back.until("response_done")
    assert back.text().endswith("done")


async def test_the_same_slot_takes_over_at_once(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.2)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
        rig.peers.router.say("done")
        freeze(rig)
        begun = asyncio.get_running_loop().time()
        async with another(rig, "a") as second:
            await eventually(lambda: len(rig.peers.router.starts) == 2)
            took = asyncio.get_running_loop().time() - begun
            async with second.client(session_id=client.session_id, resume_from_sequence=0) as back:
                await back.until("response_done")
    assert took < 1.0, "a lease has run out, though the slot says that its holder is gone"


async def test_one_that_wakes_up_late_is_fenced_off_and_serves_again(rig) -> None:
    rig.peers.router.say("hello")
    async with another(rig) as second, rig.client() as client:
        await client.say("hi")
        await client.until("response_done")
        freeze(rig)
        start = {"session_id": client.session_id, "resume_from_sequence": 0}
        async with taken_over(second, **start) as back:
            await back.say("again")
            await back.until("response_done", 2)
            rig.service._membership.start(rig.service._sessions.give_up_all)
            with pytest.raises(SessionMovedError) as moved:
                await client.until("never")
            assert moved.value.metadata["owner"] == second.settings.advertise
        async with rig.client() as fresh:
            await fresh.say("you again")
            await fresh.until("response_done")


async def test_one_that_joins_anew_begins_nothing_before_it_has(rig) -> None:
    rig.peers.router.say(COUNTING, token_s=0.3)
    async with another(rig) as second:
        membership, others = rig.service._membership, second.service._membership
        join = membership._ownership.join

        async def slow(*args, **named):  # type: ignore[no-untyped-def]
            await asyncio.sleep(1.0)
            return await join(*args, **named)

        membership._ownership.join = slow
        await eventually(lambda: membership.fence in others._others)
        freeze(rig)
        await eventually(lambda: membership.fence not in others._others)
        dropped = asyncio.Event()

        async def drop() -> None:
            await rig.service._sessions.give_up_all()
            dropped.set()

        membership.start(drop)
        await dropped.wait()
        async with rig.client() as fresh:
            await fresh.say("you again")
            await fresh.until("response_done")


async def test_the_busiest_is_told_from_those_that_live_beside_it(rig) -> None:
    load = 0

    def membership(slot: str, works_on) -> Membership:  # type: ignore[no-untyped-def]
        ownership = rig.service._log.ownership
        return Membership(ownership, slot, slot, alone=False, load=works_on)

    mine = membership("mine", lambda: load)
    await rig.service.drain()
    await rig.service._membership.close()
    async with running(mine):
        load = 64
        assert not mine.is_busiest  # it compares itself with nobody, nor with what it was
        idle = membership("idle", lambda: 0)
        async with running(idle):
            await eventually(lambda: mine.is_busiest)
            assert not idle.is_busiest
        await eventually(lambda: not mine.is_busiest)


async def test_a_conversation_that_is_only_kept_is_no_load(rig) -> None:
    async def load() -> int:
        membership = rig.service._membership
        peers = await membership._ownership.beat(membership.instance, load=membership._load())
        return peers[0].load

    async with rig.client() as client:
        await client.say("hi")
        await client.until("response_done")
        assert await load() == 1
        await rig.service._sessions.find_live(client.session_id).quiet()
        await client.finish()
    live = rig.service._sessions._live[client.session_id]
    await eventually(lambda: live.session.outbox is None)
    live._give_up()
    await eventually(lambda: live.is_idle)
    assert await load() == 0


async def test_a_drained_one_hands_its_sessions_over(rig) -> None:
    rig.peers.router.say("hello")
    async with another(rig) as second:
        async with rig.client() as client:
            await client.say("hi")
            await client.until("response_done")
            await rig.service.drain()
            await client.until("going_away")
            async with asyncio.timeout(5):
                await client.ended.wait()
        async with second.client(session_id=client.session_id, resume_from_sequence=0) as back:
            await back.say("again")
            await back.until("response_done", 2)


async def test_a_write_behind_its_back_makes_it_read_the_record_again(rig) -> None:
    rig.peers.router.say("hello")
    async with rig.client() as client:
        await client.say("hi")
        await client.until("response_done")
        last = client.record[-1]
        key = StreamKey("session", client.session_id)
        fence = rig.service._membership.fence
        done = last.SerializeToString()
        await rig.service._log.append([Append(key, "response_done", done)], fence=fence)
        await client.say("again")
        with pytest.raises(SessionMovedError):
            await client.until("response_done", 2)
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        await back.say("again")
        await back.until("response_done", 3)
    assert [event.sequence for event in back.record] == list(range(1, len(back.record) + 1))


async def fire(rig, name: str, session_id: str) -> None:  # type: ignore[no-untyped-def]
    known = {"session_id": session_id, "principal": "ada"}
    await rig.peers.world.change("timer", name, status="fired", label="Done.", **known)


async def test_what_falls_due_is_told_once_where_it_was_asked_for(rig) -> None:
    async with another(rig) as second:
        await eventually(lambda: rig.peers.world.watches >= 4)
        async with rig.client("ada") as here, second.client("ada") as there:
            await here.until("started")
            await there.until("started")
            for number in range(5):
                await fire(rig, f"here{number}", here.session_id)
                await fire(rig, f"there{number}", there.session_id)
            await here.until("notice", 5)
            await there.until("notice", 5)
            await asyncio.sleep(0.5)
            told = [[n.subject_id for n in client.of("notice")] for client in (here, there)]
    assert told == [[f"{where}{number}" for number in range(5)] for where in ("here", "there")]


async def test_what_falls_due_for_a_session_nobody_attends_is_told_elsewhere(rig) -> None:
    async with another(rig) as second:
        await eventually(lambda: rig.peers.world.watches >= 4)
        async with rig.client("ada") as gone:
            await gone.until("started")
        async with second.client("ada") as there:
            await there.until("started")
            await fire(rig, "t1", gone.session_id)
            await fire(rig, "t2", "ses_nobodys")
            await there.until("notice", 2)
            await asyncio.sleep(0.5)
            assert [n.subject_id for n in there.of("notice")] == ["t1", "t2"]


async def test_a_firing_outlives_the_one_that_was_to_tell_it(rig) -> None:
    async with another(rig) as second:
        await eventually(lambda: rig.peers.world.watches >= 4)
        async with rig.client("ada") as gone:
            await gone.until("started")
        freeze(rig)
        for task in rig.service._notices._tasks:
            task.cancel()
        async with second.client("ada") as there:
            await there.until("started")
            await fire(rig, "t1", gone.session_id)
            await there.until("notice")


async def test_each_erases_what_it_holds_and_says_who_holds_the_rest(rig) -> None:
    who = (("x-ensemble-principal", "ada"),)
    async with another(rig) as second:
        for place in (rig, second):
            async with place.client("ada") as client:
                await client.say("secret")
                await client.until("response_done")
        request = orchestrator_service_pb2.EraseRecordsRequest()
        first = await rig.stub.EraseRecords(request, metadata=who)
        assert (first.sessions, list(first.elsewhere)) == (1, ["inproc:b"])
        rest = await second.stub.EraseRecords(request, metadata=who)
        assert (rest.sessions, list(rest.elsewhere)) == (1, [])
        found = await second.stub.FindSessions(
            orchestrator_service_pb2.FindSessionsRequest(), metadata=who
        )
        assert not found.sessions
