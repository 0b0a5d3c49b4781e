"""One stream to a gateway, from its start to its end or loss."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import grpc.aio

from ensemble.client.failures import explain
from ensemble.core.errors import PeerLostError
from ensemble.core.services import HEARTBEAT_INTERVAL
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.v1 import (
    common_pb2,
    gateway_service_pb2,
    gateway_service_pb2_grpc,
    session_events_pb2,
)

ClientEvent = session_events_pb2.ClientEvent
ServerEvent = session_events_pb2.ServerEvent

_QUEUE: Final = 64
"""Client events that may wait to be sent; ``send`` waits when there are as many."""

_SILENCE: Final = 3.0
"""Seconds without any event after which the gateway counts as lost. Far above the 600 ms of
service to service, because this stream may cross a bad radio link."""


class Link:
    """Sends and receives; heartbeats are sent and swallowed here.

    Args:
        channel: Where the gateway is.
        address: The same, for messages.
        metadata: Sent with the call.
    """

    def __init__(
        self, channel: grpc.aio.Channel, address: str, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        self._channel = channel
        self._address = address
        self._metadata = metadata
        self._waiting: deque[ClientEvent] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._finished = False
        self._over = False
        self._sequence = 0

    async def open(self, start: session_events_pb2.SessionStart) -> ServerEvent:
        """Open the stream and return its ``started`` event.

        Raises:
            EnsembleError: The gateway cannot be reached or refuses.
        """
        stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)
        self._call = stub.Converse(self._requests(start), metadata=self._metadata)
        self._scope = stream(self._call)
        await self._scope.__aenter__()
        self._events = watch(self._call, timeout=_SILENCE)
        try:
            first = await self.next()
            if first is None or first.WhichOneof("event") != "started":
                raise PeerLostError("The gateway did not open the session.")
        except BaseException:
            await self.close()
            raise
        return first

    async def next(self) -> ServerEvent | None:
        """Return the next event that is not a heartbeat; None at the end.

        Raises:
            EnsembleError: The stream failed or fell silent.
        """
        try:
            async for response in self._events:
                if response.event.WhichOneof("event") != "heartbeat":
                    return response.event
        except grpc.aio.AioRpcError as error:
            raise explain(error, self._address) from error
        return None

    async def send(self, event: ClientEvent) -> None:
        """Send ``event``; waits while 64 are on their way. Once lost, it goes nowhere."""
        while len(self._waiting) >= _QUEUE and not self._is_over():
            self._room.clear()
            # Nobody tells a sender that the stream is lost: it looks for itself.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_INTERVAL):
                    await self._room.wait()
        if not self._is_over():
            self._waiting.append(event)
            self._news.set()

    def _is_over(self) -> bool:
        return self._over or self._call.done()

    def finish(self) -> None:
        """Half-close after what was sent."""
        self._finished = True
        self._news.set()

    async def close(self) -> None:
        """End the stream."""
        self._over = True
        self._room.set()
        await self._scope.__aexit__(None, None, None)
        with contextlib.suppress(RuntimeError):
            # Somebody else may wait for the next event: that wait ends with the call.
            await self._events.aclose()

    async def _requests(
        self, start: session_events_pb2.SessionStart
    ) -> AsyncIterator[gateway_service_pb2.ConverseRequest]:
        yield self._wrap(ClientEvent(start=start))
        while True:
            if self._waiting:
                event = self._waiting.popleft()
                self._room.set()
                yield self._wrap(event)
                continue
            if self._finished:
                return
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_INTERVAL):
                    await self._news.wait()
                    continue
            beat = common_pb2.Heartbeat()
            beat.sent_at.GetCurrentTime()
            yield self._wrap(ClientEvent(heartbeat=beat))

    def _wrap(self, event: ClientEvent) -> gateway_service_pb2.ConverseRequest:
        self._sequence += 1
        event.sequence = self._sequence
        event.created_at.GetCurrentTime()
        return gateway_service_pb2.ConverseRequest(event=event)
