"""Whatever ends a handler reaches the client as one status, the same over every transport."""

import asyncio

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from ensemble.core.errors import (
    DeadlineExceededError,
    EnsembleError,
    EntityNotFoundError,
    InvalidArgumentError,
    RateLimitedError,
    ServiceUnavailableError,
)
from ensemble.transport import open_channel
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import tool_server_service_pb2, tool_server_service_pb2_grpc
from ensemble.v1 import world_model_service_pb2 as pb

pytestmark = pytest.mark.contract


async def fails(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def drained(call):
    return [response async for response in call]


def raising(error):
    async def handler(request, context):
        raise error

    return handler


def rich_status(error):
    trailers = dict(error.trailing_metadata())
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


async def test_an_error_of_the_catalogue_keeps_reason_text_and_metadata(scripted, run):
    service = scripted()
    service.on_query = raising(EntityNotFoundError(metadata={"name": "car key"}))
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest()))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Nothing is known by this name."
    told = from_rpc_error(error)
    assert type(told) is EntityNotFoundError
    assert told.metadata == {"name": "car key"}
    status = rich_status(error)
    infos = [d for d in status.details if d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1


async def test_retry_after_reaches_the_client(scripted, run):
    service = scripted()
    service.on_query = raising(RateLimitedError(retry_after=1.5))
    _, stub = await run(service)
    told = from_rpc_error(await fails(stub.Query(pb.QueryRequest())))
    assert told.retry_after == 1.5
    assert told.retryable


async def test_an_unexpected_exception_tells_nothing_of_itself(scripted, run):
    service = scripted()
    service.on_query = raising(ValueError("the password is swordfish"))
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest()))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == EnsembleError.public_message
    assert b"swordfish" not in b"".join(
        v if isinstance(v, bytes) else v.encode() for _, v in error.trailing_metadata()
    )


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_escaped_cancellation_is_a_status_and_not_silence(scripted, run, streaming):
    service = scripted()

    async def watch(request, context):
        yield pb.WatchResponse(sequence=1)
        raise asyncio.CancelledError

    service.on_query = raising(asyncio.CancelledError())
    service.on_watch = watch
    _, stub = await run(service)
    call = (
        drained(stub.Watch(pb.WatchRequest(), timeout=20))
        if streaming
        else stub.Query(pb.QueryRequest(), timeout=20)
    )
    error = await fails(call)
    assert error.code() is grpc.StatusCode.CANCELLED
    assert from_rpc_error(error).reason == "CANCELLED"


async def test_a_service_that_cancels_its_own_handler_answers(scripted, run):
    service = scripted()

    async def query(request, context):
        asyncio.current_task().cancel()
        await asyncio.sleep(60)

    service.on_query = query
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest(), timeout=20))
    assert error.code() is grpc.StatusCode.CANCELLED


async def test_a_handler_may_abort_by_itself(scripted, run):
    service = scripted()

    async def query(request, context):
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far", (("x-why", "because"),))

    service.on_query = query
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest()))
    assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "too far")
    assert dict(error.trailing_metadata())["x-why"] == "because"


async def test_the_error_of_a_nested_call_keeps_its_reason(scripted, run):
    service = scripted()

    async def query(request, context):
        if request.kind == "outer":
            await inner.Query(pb.QueryRequest(kind="inner"))
        raise EntityNotFoundError

    service.on_query = query
    _, stub = await run(service)
    inner = stub
    told = from_rpc_error(await fails(stub.Query(pb.QueryRequest(kind="outer"))))
    assert type(told) is EntityNotFoundError


async def test_trailing_metadata_of_the_handler_survives_its_error(scripted, run):
    service = scripted()

    async def query(request, context):
        context.set_trailing_metadata((("x-engine", "sqlite"),))
        raise EntityNotFoundError

    service.on_query = query
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest()))
    assert dict(error.trailing_metadata())["x-engine"] == "sqlite"


async def test_what_was_sent_before_an_error_in_a_stream_arrives(scripted, run):
    service = scripted()

    async def watch(request, context):
        yield pb.WatchResponse(sequence=1)
        yield pb.WatchResponse(sequence=2)
        raise ServiceUnavailableError

    service.on_watch = watch
    _, stub = await run(service)
    call = stub.Watch(pb.WatchRequest())
    assert [(await call.read()).sequence for _ in range(2)] == [1, 2]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert type(from_rpc_error(caught.value)) is ServiceUnavailableError


async def test_a_deadline_ends_the_call_and_the_handler(scripted, run):
    service = scripted()
    ended = asyncio.Event()

    async def query(request, context):
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    service.on_query = query
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest(), timeout=0.2))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert type(from_rpc_error(error)) is DeadlineExceededError
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_client_that_leaves_closes_the_generator_in_its_own_task(scripted, run):
    service = scripted()
    seen = []
    closed = asyncio.Event()

    async def watch(request, context):
        mine = asyncio.current_task()
        try:
            while True:
                yield pb.WatchResponse(sequence=1)
        finally:
            seen.append(asyncio.current_task() is mine)
            await asyncio.sleep(0)
            closed.set()

    service.on_watch = watch
    _, stub = await run(service)
    call = stub.Watch(pb.WatchRequest())
    await call.read()
    call.cancel()
    async with asyncio.timeout(10):
        await closed.wait()
    assert seen == [True]


async def test_a_rule_of_the_contract_is_held_with_the_field_named(scripted, run):
    service = scripted()
    _, stub = await run(service)
    error = await fails(stub.Query(pb.QueryRequest(kind="x" * 65)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    told = from_rpc_error(error)
    assert isinstance(told, InvalidArgumentError)
    assert told.violations == {"kind": "must be at most 64 characters"}
    bad = error_details_pb2.BadRequest()
    assert any(_unpacks(detail, bad) for detail in rich_status(error).details)
    assert bad.field_violations[0].field == "kind"


def _unpacks(detail: any_pb2.Any, message) -> bool:
    return bool(detail.Unpack(message))


async def test_a_service_that_is_not_here_is_unimplemented(scripted, run):
    host, _ = await run(scripted())
    address = next(iter(host.addresses_of("world-model")), "inproc:world-model")
    async with open_channel(address) as channel:
        stub = tool_server_service_pb2_grpc.ToolServerServiceStub(channel)
        error = await fails(stub.ListTools(tool_server_service_pb2.ListToolsRequest()))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == "Method not found!"


async def test_an_oversize_message_is_refused_and_the_service_lives(scripted, run):
    _, stub = await run(scripted())
    error = await fails(stub.Query(pb.QueryRequest(kind="x" * (5 << 20))))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await stub.Query(pb.QueryRequest())
