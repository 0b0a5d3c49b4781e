"""A model behind another model router: how a call ends that its channel does not outlive."""

import grpc
import pytest

from ensemble.core.ids import new_id
from ensemble.model_router.adapters.remote import EngineLostError, chat_over
from ensemble.model_router.domain import StopReason
from ensemble.transport.channel import open_channel
from ensemble.transport.inproc.server import InProcessServer
from ensemble.v1 import model_router_service_pb2_grpc as pb_grpc

pytestmark = pytest.mark.unit


class Cancelling(pb_grpc.ModelRouterServiceServicer):
    """Ends every chat as one is ended whose channel is closed."""

    async def Chat(self, request_iterator, context):
        await context.abort(grpc.StatusCode.CANCELLED, "Locally cancelled by application!")
        yield


async def test_a_call_that_somebody_else_cancelled_is_a_loss(said):
    name = new_id("test")
    server = InProcessServer(name)
    pb_grpc.add_ModelRouterServiceServicer_to_server(Cancelling(), server)
    await server.start()
    async with open_channel(f"inproc:{name}") as channel:
        with pytest.raises(EngineLostError):
            _ = [event async for event in chat_over(channel, said("hello"))]
        call = said("hello")
        call.cancelled.set()
        (end,) = [event async for event in chat_over(channel, call)]
        assert end.stop is StopReason.CANCELLED
    await server.stop(0)
