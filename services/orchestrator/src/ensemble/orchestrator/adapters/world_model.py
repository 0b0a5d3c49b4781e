"""The world model as the orchestrator's world."""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator

import grpc

from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import world_model_service_pb2, world_model_service_pb2_grpc


class WorldModelWorld:
    """Follows the world model. Implements ``World``.

    Args:
        channel: To the world model.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = world_model_service_pb2_grpc.WorldModelServiceStub(channel)

    @contextlib.asynccontextmanager
    async def watch(
        self, kind: str, after: int
    ) -> AsyncIterator[AsyncIterator[world_model_service_pb2.WatchResponse]]:
        """Follow the changes of ``kind`` after sequence ``after``."""
        request = world_model_service_pb2.WatchRequest(kind=kind, resume_from_sequence=after)
        async with stream(self._stub.Watch(request)) as call:
            yield _changes(call)


async def _changes(
    call: AsyncIterable[world_model_service_pb2.WatchResponse],
) -> AsyncIterator[world_model_service_pb2.WatchResponse]:
    try:
        async for response in watch(call):
            if response.WhichOneof("event") != "heartbeat":
                yield response
    except grpc.RpcError as exc:
        raise from_rpc_error(exc) from exc
