"""Carries a client's events to the orchestrator and its answers back.

The gateway keeps nothing of a conversation: when it dies, the client comes back through
another one and resumes from the orchestrator's log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import grpc.aio
from google.protobuf.message import DecodeError

from ensemble.core.errors import (
    EnsembleError,
    InvalidArgumentError,
    PeerLostError,
    ServiceUnavailableError,
    WrongFirstMessageError,
)
from ensemble.gateway.failures import explain
from ensemble.gateway.orchestrators import Orchestrators
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.transport.streams import until_half_close
from ensemble.v1 import (
    gateway_service_pb2,
    orchestrator_service_pb2,
    session_events_pb2,
)

Admit = Callable[[], Awaitable[None]]
"""Waits until one more client event may pass."""

_FIRST_REQUEST_S: Final = 10.0
"""Seconds in which a client has to begin."""


async def relay(
    requests: AsyncIterator[gateway_service_pb2.ConverseRequest],
    orchestrators: Orchestrators,
    *,
    admit: Admit,
    leaving: Callable[[], session_events_pb2.GoingAway | None],
    first_answer: float,
    silence: float,
) -> AsyncIterator[gateway_service_pb2.ConverseResponse]:
    """Yield the orchestrator's events until its stream ends.

    An orchestrator that does not hold the session says who does; the stream goes there.

    Args:
        requests: What the client sends.
        orchestrators: Where they are.
        admit: Paces the client's events; TCP then slows the client.
        leaving: Returns what to tell the client once this gateway is about to leave.
        first_answer: Seconds for the first sign of life of an orchestrator.
        silence: Seconds without an event after which the orchestrator counts as lost.

    Raises:
        EnsembleError: The client sent what is not acceptable, or the orchestrator failed.
    """
    client = _Client(requests, admit)
    await client.begin()
    told = False
    async for stub in orchestrators.owners():
        call = stub.RunSession(client.events())
        living = watch(call, silence, first=first_answer)
        async with stream(call), aclosing(living) as events:
            try:
                async for response in events:
                    # Heartbeats come every 200 ms, so a client hears of it that soon.
                    if not told and (notice := leaving()) is not None:
                        told = True
                        yield gateway_service_pb2.ConverseResponse(
                            event=session_events_pb2.ServerEvent(going_away=notice)
                        )
                    client.joined(response.event)
                    yield gateway_service_pb2.ConverseResponse(event=response.event)
                return
            except grpc.aio.AioRpcError as error:
                orchestrators.failed(explain(error), final=client.has_joined)
            except asyncio.CancelledError:
                # A message that was refused cancels the call to the orchestrator from our
                # side; the client is told of the message.
                if client.refused is not None:
                    raise client.refused from None
                raise
            except PeerLostError as error:
                if client.has_joined:
                    raise ServiceUnavailableError(
                        "The conversation's orchestrator was lost; resume the session."
                    ) from error
                orchestrators.failed(error)
    raise orchestrators.refusal


class _Client:
    """What a client sends, so that its start can be told to one orchestrator after another."""

    def __init__(
        self, requests: AsyncIterator[gateway_service_pb2.ConverseRequest], admit: Admit
    ) -> None:
        self._requests = until_half_close(requests)
        self._admit = admit
        self._first = gateway_service_pb2.ConverseRequest()
        self._joined = asyncio.Event()
        self.refused: EnsembleError | None = None

    @property
    def has_joined(self) -> bool:
        """An orchestrator has taken up the session."""
        return self._joined.is_set()

    def joined(self, event: session_events_pb2.ServerEvent) -> None:
        """Take note of what an orchestrator says: anything but a sign of life is an answer."""
        if event.WhichOneof("event") != "heartbeat":
            self._joined.set()

    async def begin(self) -> None:
        """Take what the client says first.

        Raises:
            WrongFirstMessageError: It says nothing.
            InvalidArgumentError: It cannot be read.
        """
        try:
            async with asyncio.timeout(_FIRST_REQUEST_S):
                self._first = await anext(self._requests)
                await self._pace(self._first)
        except (TimeoutError, StopAsyncIteration) as error:
            raise WrongFirstMessageError from error
        except DecodeError as error:
            raise _unreadable() from error

    async def events(self) -> AsyncIterator[orchestrator_service_pb2.RunSessionRequest]:
        """Yield the start, and the rest once the session is taken up."""
        try:
            yield orchestrator_service_pb2.RunSessionRequest(event=self._first.event)
            await self._joined.wait()
            async for request in self._requests:
                await self._pace(request)
                yield orchestrator_service_pb2.RunSessionRequest(event=request.event)
        except EnsembleError as error:
            self.refused = error
            raise
        except DecodeError as error:
            self.refused = _unreadable()
            raise self.refused from error

    async def _pace(self, request: gateway_service_pb2.ConverseRequest) -> None:
        if request.event.WhichOneof("event") not in ("heartbeat", "input_audio"):
            await self._admit()


def _unreadable() -> InvalidArgumentError:
    return InvalidArgumentError("A message of the stream cannot be read.")
