"""The rules of the contract are held for every request message, also inside a stream."""

import grpc
import pytest

from ensemble.core.errors import InvalidArgumentError
from ensemble.runtime.host import Host
from ensemble.runtime.interceptors.validation import Validation
from ensemble.runtime.service import Service
from ensemble.transport import open_channel
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import (
    common_pb2,
    node_service_pb2,
    stt_service_pb2,
    stt_service_pb2_grpc,
    world_model_service_pb2,
)

pytestmark = pytest.mark.contract


class Echo(stt_service_pb2_grpc.SttServiceServicer):
    async def Recognize(self, request_iterator, context):
        async for request in request_iterator:
            yield stt_service_pb2.RecognizeResponse(caused_by_event_id=request.event_id)


class Stt(Service):
    name = "stt"

    def add_to(self, server):
        stt_service_pb2_grpc.add_SttServiceServicer_to_server(Echo(), server)


async def test_each_message_of_a_stream_is_held_to_the_rules(settings, listen):
    async with Host(
        {"stt": lambda _: Stt()}, settings, listen={"stt": list(listen.values())}, environ={}
    ) as host:
        await host.settled()
        address = next(iter(host.addresses_of("stt")), "inproc:stt")
        async with open_channel(address) as channel:
            call = stt_service_pb2_grpc.SttServiceStub(channel).Recognize()
            await call.write(stt_service_pb2.RecognizeRequest(event_id="one"))
            assert (await call.read()).caused_by_event_id == "one"
            await call.write(stt_service_pb2.RecognizeRequest(event_id="x" * 65))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert error.violations == {"event_id": "must be at most 64 characters"}


def test_a_violation_is_named_by_the_path_to_its_field():
    request = world_model_service_pb2.ObserveRequest(
        request_id="r",
        entities=[
            world_model_service_pb2.Entity(kind="device", name="lamp"),
            world_model_service_pb2.Entity(kind="x" * 100, name="lamp"),
        ],
    )
    with pytest.raises(InvalidArgumentError) as caught:
        Validation()(request)
    assert list(caught.value.violations) == ["entities[1].kind"]


def test_several_violations_are_all_told():
    audio = common_pb2.AudioFormat(sample_rate_hertz=1_000_000, channel_count=9)
    with pytest.raises(InvalidArgumentError) as caught:
        Validation()(audio)
    assert set(caught.value.violations) == {"sample_rate_hertz", "channel_count"}


def test_what_has_no_rules_costs_no_engine():
    check = Validation()
    check(node_service_pb2.DescribeNodeRequest())
    check("not a message")
    assert check._validator is None
