"""Carries a client's events to the orchestrator and its answers back.

The gateway keeps nothing of a conversation: when it dies, the client comes back through
another one and resumes from the orchestrator's log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import grpc.aio
from google.protobuf.message import DecodeError

from ensemble.core.errors import (
    EnsembleError,
    InvalidArgumentError,
    PeerLostError,
    ServiceUnavailableError,
)
from ensemble.gateway.failures import explain
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.transport.streams import until_half_close
from ensemble.v1 import (
    gateway_service_pb2,
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
)

Admit = Callable[[], Awaitable[None]]
"""Waits until one more client event may pass."""


async def relay(
    requests: AsyncIterator[gateway_service_pb2.ConverseRequest],
    stub: "orchestrator_service_pb2_grpc.OrchestratorServiceAsyncStub",
    *,
    admit: Admit,
    leaving: Callable[[], session_events_pb2.GoingAway | None],
    silence: float,
) -> AsyncIterator[gateway_service_pb2.ConverseResponse]:
    """Yield the orchestrator's events until its stream ends.

    Args:
        requests: What the client sends.
        stub: The orchestrator.
        admit: Paces the client's events; TCP then slows the client.
        leaving: Returns what to tell the client once this gateway is about to leave.
        silence: Seconds without an event after which the orchestrator counts as lost.

    Raises:
        EnsembleError: The client sent what is not acceptable, or the orchestrator failed.
    """

    refused: list[EnsembleError] = []

    async def upstream() -> AsyncIterator[orchestrator_service_pb2.RunSessionRequest]:
        try:
            async for request in until_half_close(requests):
                if request.event.WhichOneof("event") not in ("heartbeat", "input_audio"):
                    await admit()
                yield orchestrator_service_pb2.RunSessionRequest(event=request.event)
        except EnsembleError as error:
            refused.append(error)
            raise
        except DecodeError as error:
            refused.append(InvalidArgumentError("A message of the stream cannot be read."))
            raise refused[0] from error

    call = stub.RunSession(upstream())
    told = False
    async with stream(call), aclosing(watch(call, timeout=silence)) as events:
        try:
            async for response in events:
                # Heartbeats come every 200 ms, so a client hears of it that soon.
                if not told and (notice := leaving()) is not None:
                    told = True
                    yield gateway_service_pb2.ConverseResponse(
                        event=session_events_pb2.ServerEvent(going_away=notice)
                    )
                yield gateway_service_pb2.ConverseResponse(event=response.event)
        except grpc.aio.AioRpcError as error:
            raise explain(error) from error
        except asyncio.CancelledError:
            # A message that was refused cancels the call to the orchestrator from our side;
            # the client is told of the message.
            if refused:
                raise refused[0] from None
            raise
        except PeerLostError as error:
            raise ServiceUnavailableError(
                "The conversation's orchestrator was lost; resume the session."
            ) from error
