"""Health follows the engines; a service that cannot start says why and the others live."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ensemble.core.errors import EngineUnavailableError, ServiceUnavailableError, StorageLockedError
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.transport import open_channel
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import node_service_pb2 as node
from ensemble.v1 import node_service_pb2_grpc as node_stubs
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs

pytestmark = pytest.mark.contract

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NAME = "ensemble.v1.WorldModelService"


def channel_of(host, name="world-model"):
    return open_channel(next(iter(host.addresses_of(name)), f"inproc:{name}"))


async def health(channel, service=""):
    stub = health_pb2_grpc.HealthStub(channel)
    response = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return response.status


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_health_is_serving_once_the_engines_are_loaded(scripted, run):
    service = scripted()
    loaded = asyncio.Event()
    service.on_start = loaded.wait
    host, _ = await run(service, settled=False)
    async with channel_of(host) as channel:
        assert await health(channel, NAME) == NOT_SERVING
        assert await health(channel) == NOT_SERVING
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=NAME)
        )
        assert (await watch.read()).status == NOT_SERVING
        loaded.set()
        assert (await watch.read()).status == SERVING
        assert await host.settled() == {}
        assert await health(channel, NAME) == SERVING
        await until(lambda: _is(channel, "", SERVING))
        watch.cancel()


async def _is(channel, service, state):
    return await health(channel, service) == state


async def test_a_misspelt_service_is_not_found(scripted, run):
    host, _ = await run(scripted())
    async with channel_of(host) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(channel, "ensemble.v1.WorldModel")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_call_waits_for_a_service_that_starts(scripted, run):
    service = scripted()
    loaded = asyncio.Event()
    service.on_start = loaded.wait
    _, stub = await run(service, settled=False)
    call = stub.Query(pb.QueryRequest(), timeout=20)
    await asyncio.sleep(0.05)
    assert not call.done()
    loaded.set()
    await call


async def test_a_call_does_not_wait_for_ever(scripted, run):
    service = scripted()
    service.on_start = asyncio.Event().wait
    _, stub = await run(service, settled=False, settings=RuntimeSettings(start_wait_seconds=0.05))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Query(pb.QueryRequest())
    assert type(from_rpc_error(caught.value)) is ServiceUnavailableError
    assert "still starting" in caught.value.details()


async def test_a_service_that_failed_says_why_and_is_tried_again(scripted, run):
    service = scripted()
    attempts = []

    async def start():
        attempts.append(1)
        if len(attempts) == 1:
            raise EngineUnavailableError("The voice file is damaged.")

    service.on_start = start
    host, stub = await run(service)
    assert host.describe()[0].state == node.SERVICE_STATE_FAILED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Query(pb.QueryRequest())
    assert caught.value.details() == "world-model is not available: The voice file is damaged."
    assert from_rpc_error(caught.value).retryable
    async with channel_of(host) as channel:
        await until(lambda: _is(channel, NAME, SERVING))
    await stub.Query(pb.QueryRequest())
    assert service.said[:3] == ["start", "close", "start"]


async def test_what_trying_again_cannot_mend_is_not_tried_again(scripted, run):
    service = scripted()

    async def start():
        raise StorageLockedError

    service.on_start = start
    host, _ = await run(service)
    assert await host.settled() == {"world-model": StorageLockedError.public_message}
    with pytest.raises(StorageLockedError, match=r"^world-model cannot start: Another process"):
        await host.given_up()
    await asyncio.sleep(0.7)
    assert service.said == ["start", "close"]


async def test_a_failed_service_leaves_the_others_alone(scripted, settings):
    async def crash():
        raise RuntimeError("no")

    broken, sound = scripted("stt"), scripted("world-model")
    broken.on_start = crash
    host = Host({"stt": lambda _: broken, "world-model": lambda _: sound}, settings, environ={})
    async with host:
        failed = await host.settled()
        assert list(failed) == ["stt"]
        assert "RuntimeError" in failed["stt"]
        assert "no" not in failed["stt"].split()
        stub = stubs.WorldModelServiceStub(host.peers.get("world-model"))
        await stub.Query(pb.QueryRequest())
        about = node_stubs.NodeServiceStub(host.peers.get("stt"))
        described = await about.DescribeNode(node.DescribeNodeRequest())
        assert described.services[0].state == node.SERVICE_STATE_FAILED
        channel = host.peers.get("world-model")
        assert await health(channel, NAME) == SERVING
        assert await health(channel, "ensemble.v1.SttService") == NOT_SERVING
        assert await health(channel) == NOT_SERVING


async def test_a_node_describes_itself(scripted, run, placement):
    host, _ = await run(scripted())
    async with channel_of(host) as channel:
        stub = node_stubs.NodeServiceStub(channel)
        described = await stub.DescribeNode(node.DescribeNodeRequest())
    assert described.instance_id == host.instance_id
    assert described.tier == "standalone"
    (service,) = described.services
    assert (service.name, service.state) == ("world-model", node.SERVICE_STATE_SERVING)
    assert service.transport == placement
    assert list(service.engines) == ["scripted"]
    assert service.version


async def test_reflection_knows_the_service(scripted, run):
    host, _ = await run(scripted())
    async with channel_of(host) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = await call.read()
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME))
        file = await call.read()
        await call.done_writing()
    assert NAME in [service.name for service in listed.list_services_response.service]
    assert file.file_descriptor_response.file_descriptor_proto
