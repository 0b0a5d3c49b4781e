"""Carries a client's events to the orchestrator and its answers back.

The gateway keeps nothing of a conversation: when it dies, the client comes back through
another one and resumes from the orchestrator's log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from ensemble.core.errors import PeerLostError, ServiceUnavailableError
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
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
    stub: orchestrator_service_pb2_grpc.OrchestratorServiceStub,
    *,
    admit: Admit,
    leaving: asyncio.Future[session_events_pb2.GoingAway],
    silence: float,
) -> AsyncIterator[gateway_service_pb2.ConverseResponse]:
    """Yield the orchestrator's events until its stream ends.

    Args:
        requests: What the client sends.
        stub: The orchestrator.
        admit: Paces the client's events; TCP then slows the client.
        leaving: Resolves when this gateway is about to leave; told to the client at once.
        silence: Seconds without an event after which the orchestrator counts as lost.
    """

    async def upstream() -> AsyncIterator[orchestrator_service_pb2.RunSessionRequest]:
        async for request in requests:
            if request.event.WhichOneof("event") not in ("heartbeat", "input_audio"):
                await admit()
            yield orchestrator_service_pb2.RunSessionRequest(event=request.event)

    call = stub.RunSession(upstream())
    async with stream(call):
        events = aiter(watch(call, timeout=silence))
        following = asyncio.ensure_future(anext(events))
        try:
            while True:
                waiting = {following} if leaving.done() else {following, leaving}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done() and leaving in waiting:
                    yield gateway_service_pb2.ConverseResponse(
                        event=session_events_pb2.ServerEvent(going_away=leaving.result())
                    )
                if following.done():
                    try:
                        response = following.result()
                    except StopAsyncIteration:
                        return
                    except PeerLostError as error:
                        raise ServiceUnavailableError(
                            "The conversation's orchestrator was lost; resume the session."
                        ) from error
                    yield gateway_service_pb2.ConverseResponse(event=response.event)
                    following = asyncio.ensure_future(anext(events))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
