import asyncio
import time

import grpc
import pytest

from ensemble.core.errors import DrainingError, ResumeOutOfRangeError
from ensemble.transport import stream
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1.world_model_service_pb2_grpc import WorldModelServiceStub

pytestmark = pytest.mark.unit


async def observe(world, name, kind="n"):
    entity = pb.Entity(kind=kind, name=name)
    return (await world.Observe(pb.ObserveRequest(entities=[entity]))).sequence


async def changes(responses, count):
    found = []
    async for response in responses:
        if response.WhichOneof("event") == "changed":
            found.append(response)
            if len(found) == count:
                return found
    raise AssertionError("the watch ended")


async def test_starts_with_where_it_starts_and_follows_live(world):
    await observe(world, "before")
    async with stream(world.Watch(pb.WatchRequest())) as responses:
        started = await anext(aiter(responses))
        assert started.started.sequence == 1
        await observe(world, "after")
        (change,) = await changes(responses, 1)
    assert change.changed.name == "after"
    assert change.sequence == change.changed.sequence == 2
    assert change.created_at.seconds > 0


async def test_replays_what_was_missed(world):
    for name in "abc":
        await observe(world, name)
    async with stream(world.Watch(pb.WatchRequest(resume_from_sequence=1))) as responses:
        found = await changes(responses, 2)
        assert [change.changed.name for change in found] == ["b", "c"]
        await observe(world, "d")
        assert [change.changed.name for change in await changes(responses, 1)] == ["d"]


async def test_only_of_one_kind(world):
    async with stream(world.Watch(pb.WatchRequest(kind="b", resume_from_sequence=0))) as responses:
        for kind in "abab":
            await observe(world, "x", kind)
        found = await changes(responses, 2)
    assert [(change.sequence, change.changed.kind) for change in found] == [(2, "b"), (4, "b")]


async def test_a_heartbeat_when_nothing_is_sent_even_while_other_kinds_change(world):
    async with stream(world.Watch(pb.WatchRequest(kind="quiet"))) as responses:
        stop = asyncio.Event()

        async def chatter():
            while not stop.is_set():
                await observe(world, "x", "loud")
                await asyncio.sleep(0.01)

        chatting = asyncio.create_task(chatter())
        events = aiter(responses)
        await anext(events)
        begun = time.monotonic()
        beats = [await anext(events) for _ in range(3)]
        stop.set()
        await chatting
    assert all(beat.WhichOneof("event") == "heartbeat" for beat in beats)
    assert all(beat.sequence == 0 for beat in beats)
    assert time.monotonic() - begun >= 0.5


async def test_refuses_to_resume_past_the_end(world):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in world.Watch(pb.WatchRequest(resume_from_sequence=7)):
            pass
    assert isinstance(from_rpc_error(caught.value), ResumeOutOfRangeError)


async def test_neither_gap_nor_duplicate_however_often_it_is_cut(world):
    """Watchers that resume again and again, beside writers, each see all changes once."""
    total = 400

    async def write(part):
        for number in range(total // 4):
            await observe(world, f"{part}-{number % 7}", "ab"[number % 2])

    async def follow(cut_after):
        seen, after = [], 0
        while len(seen) < total:
            request = pb.WatchRequest(resume_from_sequence=after)
            async with stream(world.Watch(request)) as responses:
                wanted = min(cut_after, total - len(seen))
                for change in await changes(responses, wanted):
                    seen.append(change.sequence)
                    after = change.sequence
        return seen

    results = await asyncio.gather(
        *(write(part) for part in range(4)), *map(follow, (1, 7, 64, 400))
    )
    for seen in results[4:]:
        assert seen == list(range(1, total + 1))


async def test_a_slow_watcher_gets_everything_in_the_end(world):
    async with stream(world.Watch(pb.WatchRequest(resume_from_sequence=0))) as responses:
        await anext(aiter(responses))
        for number in range(300):
            await observe(world, str(number))
        found = await changes(responses, 300)
    assert [change.sequence for change in found] == list(range(1, 301))


@pytest.mark.parametrize("transport", ["inproc", "unix"])
async def test_a_drain_ends_the_watch_and_says_so(serve, tmp_path, transport):
    address = f"unix:{tmp_path}/w.sock" if transport == "unix" else ""
    async with serve(tmp_path / "world.db", address) as host:
        world = WorldModelServiceStub(host.peers.get("world-model"))
        call = world.Watch(pb.WatchRequest())
        events = aiter(call)
        await anext(events)
        draining = asyncio.create_task(host.drain())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert isinstance(from_rpc_error(caught.value), DrainingError)
        await draining
