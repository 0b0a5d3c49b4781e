"""One side of a conversation: what a person says and hears, event by event."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import grpc.aio
from google.protobuf import timestamp_pb2

from ensemble.client.failures import explain
from ensemble.core.errors import EnsembleError, PeerLostError
from ensemble.core.services import HEARTBEAT_INTERVAL
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.transport.status import from_status
from ensemble.v1 import (
    common_pb2,
    gateway_service_pb2,
    gateway_service_pb2_grpc,
    session_events_pb2,
    tool_pb2,
)

ServerEvent = session_events_pb2.ServerEvent
_QUEUE = 64
"""Client events that may wait to be sent; `send` waits when it is full."""

_SILENCE = 5.0
"""Seconds without any event after which the gateway counts as lost. Far above the 600 ms of
service to service, because this stream may cross a bad radio link."""


class Conversation:
    """An open stream to the gateway. Enter it, send, and iterate over the server's events.

    Heartbeats are sent and swallowed by itself. ``last_sequence`` is the position to resume
    from after a loss; ``session_id`` is known once the context is entered.

    Raises:
        EnsembleError: From entering, sending or iterating, with the reason the server gave.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        start: session_events_pb2.SessionStart,
        *,
        address: str = "",
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._channel = channel
        self._start = start
        self._address = address
        self._metadata = metadata
        self._outbox: asyncio.Queue[session_events_pb2.ClientEvent | None] = asyncio.Queue(_QUEUE)
        self._texts = 0
        self._samples = 0
        self._sequence = 0
        self.started = session_events_pb2.SessionStarted()
        self.session_id = ""
        self.last_sequence = start.resume_from_sequence

    async def __aenter__(self) -> Self:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)
        call = stub.Converse(self._requests(), metadata=self._metadata)
        self._scope = stream(call)
        await self._scope.__aenter__()
        self._events = aiter(watch(call, timeout=_SILENCE))
        try:
            first = await self._next()
        except BaseException:
            await self._scope.__aexit__(None, None, None)
            raise
        if first is None or first.WhichOneof("event") != "started":
            await self._scope.__aexit__(None, None, None)
            raise PeerLostError("The gateway did not open the session.")
        self.started = first.started
        self.session_id = first.started.session.session_id
        self._texts = first.started.input.text_items
        self._samples = first.started.input.samples
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._scope.__aexit__(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[ServerEvent]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[ServerEvent]:
        while (event := await self._next()) is not None:
            yield event

    async def _next(self) -> ServerEvent | None:
        """Return the next event that is not a heartbeat; None at the end."""
        try:
            async for response in self._events:
                event = response.event
                if event.WhichOneof("event") == "heartbeat":
                    continue
                self.last_sequence = max(self.last_sequence, event.sequence)
                return event
        except grpc.aio.AioRpcError as error:
            raise explain(error, self._address) from error
        return None

    async def _requests(self) -> AsyncIterator[gateway_service_pb2.ConverseRequest]:
        yield self._wrap(session_events_pb2.ClientEvent(start=self._start))
        while True:
            try:
                event = await asyncio.wait_for(self._outbox.get(), HEARTBEAT_INTERVAL)
            except TimeoutError:
                beat = common_pb2.Heartbeat()
                beat.sent_at.GetCurrentTime()
                event = session_events_pb2.ClientEvent(heartbeat=beat)
            if event is None:
                return
            yield self._wrap(event)

    def _wrap(self, event: session_events_pb2.ClientEvent) -> gateway_service_pb2.ConverseRequest:
        self._sequence += 1
        event.sequence = self._sequence
        now = timestamp_pb2.Timestamp()
        now.GetCurrentTime()
        event.created_at.CopyFrom(now)
        return gateway_service_pb2.ConverseRequest(event=event)

    async def send(self, event: session_events_pb2.ClientEvent) -> None:
        """Send any event; waits while 64 are on their way."""
        await self._outbox.put(event)

    async def send_text(self, text: str) -> None:
        """Send a typed turn."""
        self._texts += 1
        item = session_events_pb2.InputText(item=self._texts, text=text)
        await self.send(session_events_pb2.ClientEvent(input_text=item))

    async def send_audio(self, data: bytes, *, samples: int) -> None:
        """Send ``data``, which holds ``samples`` samples of each channel."""
        run = session_events_pb2.InputAudio(data=data, offset_samples=self._samples)
        self._samples += samples
        await self.send(session_events_pb2.ClientEvent(input_audio=run))

    async def end_input(self) -> None:
        """Say that the spoken turn is over."""
        await self.send(session_events_pb2.ClientEvent(input_end=session_events_pb2.InputEnd()))

    async def cancel_response(self, response_id: str = "") -> None:
        """Stop the answer under way."""
        cancel = session_events_pb2.ResponseCancel(response_id=response_id)
        await self.send(session_events_pb2.ClientEvent(response_cancel=cancel))

    async def report_playback(self, response_id: str, samples: int) -> None:
        """Say how much of a response has been played."""
        report = session_events_pb2.PlaybackReport(response_id=response_id, played_samples=samples)
        await self.send(session_events_pb2.ClientEvent(playback_report=report))

    async def send_tool_result(
        self, call_id: str, *, result_json: str = "", error: EnsembleError | None = None
    ) -> None:
        """Answer a tool call that the client runs itself."""
        from ensemble.transport.status import to_status

        result = tool_pb2.ToolResult(call_id=call_id)
        if error is not None:
            result.error.CopyFrom(to_status(error))
        else:
            result.result_json = result_json
        await self.send(session_events_pb2.ClientEvent(tool_result=result))

    async def finish(self) -> None:
        """Half-close: what was asked is finished, then the iteration ends."""
        await self._outbox.put(None)


def raise_failed(done: session_events_pb2.ResponseDone) -> None:
    """Raise the error of a response that failed; other endings pass."""
    if done.stop_reason == common_pb2.STOP_REASON_FAILED or done.HasField("error"):
        raise from_status(done.error)
