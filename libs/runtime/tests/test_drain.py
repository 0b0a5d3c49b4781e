"""Leaving in order: open streams are told and may finish, nothing waits without need."""

import asyncio
import os
import signal
import sys
import textwrap
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ensemble.core.errors import DrainingError, StorageCorruptError, StorageUnavailableError
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.signals import serve_until_signal
from ensemble.transport import open_channel
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs

pytestmark = pytest.mark.contract

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def polite(service):
    """Stream until told to leave, then one last message."""

    async def watch(request, context):
        yield pb.WatchResponse(sequence=1)
        await service.draining.wait()
        yield pb.WatchResponse(sequence=2)

    return watch


async def test_nothing_open_means_no_waiting(scripted, run):
    service = scripted()
    host, stub = await run(service)
    await stub.Query(pb.QueryRequest())
    started = time.monotonic()
    await host.drain()
    assert time.monotonic() - started < 1.0
    assert service.said == ["start", "drain", "close"]


async def test_an_open_stream_is_told_and_finishes(scripted, run):
    service = scripted()
    service.on_watch = polite(service)
    host, stub = await run(service)
    call = stub.Watch(pb.WatchRequest())
    assert (await call.read()).sequence == 1
    await host.drain()
    assert (await call.read()).sequence == 2
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_while_a_stream_is_open_health_is_down_and_new_calls_are_refused(scripted, run):
    service = scripted()
    release = asyncio.Event()

    async def watch(request, context):
        yield pb.WatchResponse(sequence=1)
        await release.wait()
        yield pb.WatchResponse(sequence=2)

    service.on_watch = watch
    host, stub = await run(service)
    address = next(iter(host.addresses_of("world-model")), "inproc:world-model")
    call = stub.Watch(pb.WatchRequest())
    await call.read()
    draining = asyncio.create_task(host.drain())
    await asyncio.wait_for(service.draining.wait(), 10)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Query(pb.QueryRequest())
    assert type(from_rpc_error(caught.value)) is DrainingError
    async with open_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        name = "ensemble.v1.WorldModelService"
        response = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert response.status == NOT_SERVING
    assert not draining.done()
    release.set()
    assert (await call.read()).sequence == 2
    await draining


async def test_a_stream_that_will_not_end_is_cancelled(scripted, run):
    service = scripted()
    cancelled = asyncio.Event()

    async def watch(request, context):
        try:
            yield pb.WatchResponse(sequence=1)
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    service.on_watch = watch
    brief = RuntimeSettings(drain_streams_seconds=0.1, drain_grace_seconds=0.1)
    host, stub = await run(service, settings=brief)
    call = stub.Watch(pb.WatchRequest())
    await call.read()
    async with asyncio.timeout(10):
        await host.drain()
        await cancelled.wait()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def test_an_outer_service_may_call_an_inner_one_until_it_has_finished(scripted, settings):
    outer, inner = scripted("gateway"), scripted("world-model")
    answers = []

    async def watch(request, context):
        yield pb.WatchResponse(sequence=1)
        await outer.draining.wait()
        stub = stubs.WorldModelServiceStub(host.peers.get("world-model"))
        answers.append(await stub.Query(pb.QueryRequest()))
        yield pb.WatchResponse(sequence=2)

    outer.on_watch = watch
    host = Host({"world-model": lambda _: inner, "gateway": lambda _: outer}, settings, environ={})
    async with host:
        await host.settled()
        call = stubs.WorldModelServiceStub(host.peers.get("gateway")).Watch(pb.WatchRequest())
        await call.read()
        await host.drain()
    assert answers == [pb.QueryResponse()]


async def test_a_drain_that_fails_or_hangs_in_the_service_does_not_keep_the_node(scripted, run):
    service = scripted()

    async def broken():
        raise RuntimeError("no")

    service.on_drain = broken
    host, _ = await run(service)
    await host.drain()
    assert service.said[-1] == "close"


async def test_leaving_without_a_drain_ends_what_is_open(scripted, settings):
    service = scripted()
    service.on_watch = polite(service)
    async with Host({"world-model": lambda _: service}, settings, environ={}) as host:
        await host.settled()
        call = stubs.WorldModelServiceStub(host.peers.get("world-model")).Watch(pb.WatchRequest())
        await call.read()
    assert service.said[-1] == "close"
    assert call.done()


PROGRAM = textwrap.dedent(
    """
    import asyncio, sys
    from ensemble.runtime import logs
    from ensemble.runtime.host import Host
    from ensemble.runtime.runtime_settings import RuntimeSettings
    from ensemble.runtime.service import Service
    from ensemble.runtime.signals import serve_until_signal
    from ensemble.v1 import world_model_service_pb2 as pb
    from ensemble.v1 import world_model_service_pb2_grpc as stubs

    class Servicer(stubs.WorldModelServiceServicer):
        async def Watch(self, request, context):
            yield pb.WatchResponse(sequence=1)
            await asyncio.Event().wait()

    class WorldModel(Service):
        name = "world-model"
        def add_to(self, server):
            stubs.add_WorldModelServiceServicer_to_server(Servicer(), server)
        async def drain(self):
            print("draining", flush=True)

    async def main():
        logs.configure("warning")
        settings = RuntimeSettings(drain_streams_seconds=600, drain_grace_seconds=0.1)
        host = Host({"world-model": lambda _: WorldModel()}, settings,
                    listen={"world-model": ["unix:" + sys.argv[1]]})
        await serve_until_signal(host, lambda failed: print("ready", flush=True))
        print("left", flush=True)

    asyncio.run(main())
    """
)


@pytest.fixture
async def process(tmp_path):
    path = str(tmp_path / "s.sock")
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, path, stdout=asyncio.subprocess.PIPE
    )
    assert (await asyncio.wait_for(running.stdout.readline(), 60)).strip() == b"ready"
    yield running, f"unix:{path}"
    if running.returncode is None:
        running.kill()
        await running.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains_and_leaves(process, number):
    running, _ = process
    os.kill(running.pid, number)
    output, _ = await asyncio.wait_for(running.communicate(), 30)
    assert output.split() == [b"draining", b"left"]
    assert running.returncode == 0


async def test_a_second_signal_does_not_wait_for_open_streams(process):
    running, address = process
    async with open_channel(address) as channel:
        call = stubs.WorldModelServiceStub(channel).Watch(pb.WatchRequest())
        await call.read()
        running.send_signal(signal.SIGTERM)
        assert (await asyncio.wait_for(running.stdout.readline(), 30)).strip() == b"draining"
        running.send_signal(signal.SIGTERM)
        await asyncio.wait_for(running.wait(), 30)
    assert running.returncode == 0


async def test_a_host_that_was_entered_before_is_served_too(scripted, settings):
    service = scripted()
    async with Host({"world-model": lambda _: service}, settings, environ={}) as host:
        await host.settled()
        asked = asyncio.Event()
        serving = asyncio.create_task(serve_until_signal(host, lambda _: asked.set()))
        await asyncio.wait_for(asked.wait(), 10)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 30)
        assert service.said == ["start", "drain", "close"]


async def test_what_is_done_once_settled_may_end_the_host(scripted, settings):
    service = scripted()
    host = Host({"world-model": lambda _: service}, settings, environ={})

    def give_up(failed):
        raise LookupError

    with pytest.raises(LookupError):
        await serve_until_signal(host, give_up)
    assert service.said[-1] == "close"


async def test_a_start_that_cannot_succeed_ends_the_host(scripted, settings):
    """Also while other services are still starting, and nobody is told that it is ready."""
    broken, slow = scripted("world-model"), scripted("stt")

    async def fail():
        raise StorageCorruptError("It is of a newer version.")

    broken.on_start, slow.on_start = fail, asyncio.Event().wait
    ready = []
    host = Host({"stt": lambda _: slow, "world-model": lambda _: broken}, settings, environ={})
    with pytest.raises(StorageCorruptError, match=r"^world-model cannot start: It is of a newer"):
        await asyncio.wait_for(serve_until_signal(host, ready.append), 30)
    assert ready == []
    assert slow.said[-1] == "close"


async def test_what_shows_later_to_be_hopeless_ends_the_host_too(scripted, settings):
    service = scripted()
    reasons = [StorageUnavailableError("Nobody answers."), StorageCorruptError("Newer.")]

    async def fail():
        raise reasons.pop(0)

    service.on_start = fail
    told = []
    host = Host({"world-model": lambda _: service}, settings, environ={})
    with pytest.raises(StorageCorruptError):
        await asyncio.wait_for(serve_until_signal(host, told.append), 30)
    assert told == [{"world-model": "Nobody answers."}]


async def test_a_signal_is_heard_while_engines_load(scripted, settings):
    service = scripted()
    loading = asyncio.Event()

    async def load():
        loading.set()
        await asyncio.Event().wait()

    service.on_start = load
    serving = asyncio.create_task(
        serve_until_signal(Host({"world-model": lambda _: service}, settings, environ={}))
    )
    await asyncio.wait_for(loading.wait(), 10)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(serving, 30)
    assert service.said == ["start", "close"]
