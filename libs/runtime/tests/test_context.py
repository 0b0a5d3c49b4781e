"""What a call knows about itself: its id, its time, its caller."""

import asyncio
import io
import json

import grpc
import pytest
import structlog

from ensemble.core.errors import UnauthenticatedError
from ensemble.runtime import logs
from ensemble.runtime.host import Host
from ensemble.transport import context
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs

pytestmark = pytest.mark.contract


@pytest.fixture
def lines():
    """Logs as JSON; call it for what was written."""
    output = io.StringIO()
    logs.configure("info", "json", output)
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    structlog.reset_defaults()
    logs.configure("warning", "json")


@pytest.fixture
async def chain(scripted, settings, listen, placement, tmp_path):
    """Two services; the gateway's query calls the world model's. Yields both and a stub."""
    outer, inner = scripted("gateway"), scripted("world-model")

    async def ask_inner(request, call):
        return await stubs.WorldModelServiceStub(host.peers.get("world-model")).Query(
            pb.QueryRequest(), timeout=30
        )

    outer.on_query = ask_inner
    where, environ = {}, {}
    if placement != "inproc":
        addresses = {
            "unix": (f"unix:{tmp_path}/g.sock", f"unix:{tmp_path}/w.sock"),
            "tcp": ("127.0.0.1:0", "127.0.0.1:0"),
        }[placement]
        where = {"gateway": [addresses[0]], "world-model": [addresses[1]]}
    host = Host(
        {"gateway": lambda _: outer, "world-model": lambda _: inner},
        settings,
        listen=where,
        environ=environ,
    )
    async with host:
        for name in where:
            variable = f"ENSEMBLE_{name.upper().replace('-', '_')}_ADDRESS"
            environ[variable] = host.addresses_of(name)[0]
        assert host.peers.transport_of("world-model") == placement
        await host.settled()
        yield outer, inner, stubs.WorldModelServiceStub(host.peers.get("gateway"))


async def test_a_nested_call_gets_no_more_time_than_is_left(chain):
    _, inner, stub = chain
    left = []

    async def query(request, call):
        left.append(call.time_remaining())
        return pb.QueryResponse()

    inner.on_query = query
    await stub.Query(pb.QueryRequest(), timeout=5)
    await stub.Query(pb.QueryRequest())
    assert 0 < left[0] < 5
    assert left[1] is not None
    # gRPC rounds a long timeout up when it writes it on the wire.
    assert 5 < left[1] < 31


async def test_when_time_is_up_the_whole_chain_ends(chain):
    _, inner, stub = chain
    ended = asyncio.Event()

    async def query(request, call):
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    inner.on_query = query
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Query(pb.QueryRequest(), timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await ended.wait()


async def test_one_request_id_goes_through_every_hop_and_log_line(chain, lines):
    _, inner, stub = chain
    log = structlog.get_logger()

    async def query(request, call):
        log.info("facts.read", count=3)
        raise ValueError("boom")

    inner.on_query = query
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Query(pb.QueryRequest(), metadata=((context.REQUEST_ID_KEY, "req_7"),))
    told = [line for line in lines() if line["event"] in ("facts.read", "call.crashed")]
    assert [line["event"] for line in told] == ["facts.read", "call.crashed"]
    for line in told:
        assert line["service"] == "world-model"
        assert line["correlation_id"] == "req_7"
        assert line["timestamp"]
        assert line["level"] in ("info", "error")


async def test_an_id_that_could_forge_a_log_is_replaced(chain):
    _, inner, stub = chain
    seen = []

    async def query(request, call):
        seen.append(context.request_id.get())
        return pb.QueryResponse()

    inner.on_query = query
    await stub.Query(pb.QueryRequest(), metadata=((context.REQUEST_ID_KEY, "a b{}" * 60),))
    assert seen[0]
    assert " " not in seen[0]


async def test_behind_the_door_what_the_gateway_has_set_goes_on_to_every_hop(chain):
    _, inner, stub = chain
    seen = []

    async def query(request, call):
        seen.append(dict(context.trusted.get()))
        return pb.QueryResponse()

    inner.on_query = query
    await stub.Query(pb.QueryRequest(), metadata=((context.TENANT_KEY, "acme"),))
    assert seen[-1] == {context.TENANT_KEY: "acme"}


async def test_at_the_door_inbound_copies_are_dropped(scripted, run):
    service = scripted()
    seen = []

    async def authenticate(method, claims):
        seen.append((method, claims))
        if claims.get("authorization") != "Bearer right":
            raise UnauthenticatedError
        return {context.PRINCIPAL_KEY: "ada"}

    async def query(request, call):
        seen.append(dict(context.trusted.get()))
        return pb.QueryResponse()

    service.asked_by, service.on_query = authenticate, query
    _, stub = await run(service)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Query(pb.QueryRequest())
    assert type(from_rpc_error(caught.value)) is UnauthenticatedError
    forged = (("authorization", "Bearer right"), (context.PRINCIPAL_KEY, "eve"))
    await stub.Query(pb.QueryRequest(), metadata=forged)
    method, claims = seen[-2]
    assert method == "/ensemble.v1.WorldModelService/Query"
    assert context.PRINCIPAL_KEY not in claims
    assert seen[-1] == {context.PRINCIPAL_KEY: "ada"}
