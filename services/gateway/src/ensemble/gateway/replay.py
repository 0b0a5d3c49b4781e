"""Carries the record of a session from the orchestrator to a client."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import grpc.aio

from ensemble.core.errors import PeerLostError, ServiceUnavailableError
from ensemble.gateway.failures import explain
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.v1 import (
    gateway_service_pb2,
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
)


async def replay(
    request: gateway_service_pb2.ReplaySessionRequest,
    stub: "orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub",
    *,
    leaving: Callable[[], bool],
    silence: float,
) -> AsyncIterator[gateway_service_pb2.ReplaySessionResponse]:
    """Yield the events of a record until its end, or until this gateway leaves.

    Args:
        request: What the client wants.
        stub: The orchestrator.
        leaving: This gateway is about to leave; the client goes on through another one from
            the sequence that it has.
        silence: Seconds without an event after which the orchestrator counts as lost.

    Raises:
        EnsembleError: There is no such session, or the orchestrator failed.
    """
    call = stub.ReadRecord(
        orchestrator_service_pb2.ReadRecordRequest(
            session_id=request.session_id,
            after_sequence=request.after_sequence,
            follow=request.follow,
        )
    )
    async with stream(call), aclosing(watch(call, timeout=silence)) as events:
        try:
            async for response in events:
                yield gateway_service_pb2.ReplaySessionResponse(event=response.event)
                if leaving():
                    raise ServiceUnavailableError(
                        "This gateway is about to leave; ask again for the rest."
                    )
        except grpc.aio.AioRpcError as error:
            raise explain(error) from error
        except PeerLostError as error:
            raise ServiceUnavailableError(
                "The record's orchestrator was lost; ask again for the rest."
            ) from error
