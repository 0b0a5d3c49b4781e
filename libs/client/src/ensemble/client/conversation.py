"""One side of a conversation: what a person says and hears, event by event."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import grpc.aio

from ensemble.client.link import Link
from ensemble.client.unsettled import Unsettled
from ensemble.core.errors import (
    DrainingError,
    EnsembleError,
    PeerLostError,
    ServiceUnavailableError,
    SessionMovedError,
)
from ensemble.transport.status import from_status, to_status
from ensemble.v1 import common_pb2, session_events_pb2, tool_pb2

ServerEvent = session_events_pb2.ServerEvent

_LOST: Final = (DrainingError, PeerLostError, ServiceUnavailableError, SessionMovedError)
"""What a stream ends with when it can be taken up elsewhere, or in a moment."""

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0

PATIENCE_S: Final = 15.0
"""Seconds for which a lost stream is tried to be taken up again."""

Route = tuple[str, grpc.aio.Channel]
"""Address of a gateway, and the way there."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A loss that was made good: no event is missing or doubled, but time has passed.

    Attributes:
        seconds: From the loss to the first event after it.
        tries: Attempts that it took.
    """

    reason: str
    seconds: float
    tries: int


class Conversation:
    """A conversation with the gateway. Enter it, send, and iterate over the server's events.

    A stream that is lost is taken up again by itself, at the gateway that answers first:
    from ``last_sequence``, with what was heard so far, and with the input that was not yet
    accepted. Events of the record come once each and without a gap; audio goes on at the
    sample that was reported last. ``session_id`` is known once the context is entered.

    Args:
        routes: Gateways, the one to begin with first.
        start: How to begin.
        metadata: Sent with each stream.
        patience: Seconds for which a lost stream is tried again; 0 raises at once.
        on_gap: Told of each loss that was made good.

    Raises:
        EnsembleError: From entering, sending or iterating, with the reason the server gave.
    """

    def __init__(
        self,
        routes: list[Route],
        start: session_events_pb2.SessionStart,
        *,
        metadata: tuple[tuple[str, str], ...] = (),
        patience: float = PATIENCE_S,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> None:
        self._routes = routes
        self._start = start
        self._metadata = metadata
        self._patience = patience
        self._on_gap = on_gap
        self._unsettled = Unsettled()
        self._order = asyncio.Lock()
        self._playback: session_events_pb2.PlaybackReport | None = None
        self._finished = False
        self._leaving = False
        self.started = session_events_pb2.SessionStarted()
        self.session_id = ""
        self.last_sequence = start.resume_from_sequence

    async def __aenter__(self) -> Self:
        self._link = self._make_link()
        first = await self._link.open(self._start)
        self._take_started(first)
        self._unsettled.texts = first.started.input.text_items
        self._unsettled.samples = first.started.input.samples
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._link.close()

    def __aiter__(self) -> AsyncIterator[ServerEvent]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[ServerEvent]:
        while True:
            try:
                event = await self._link.next()
                if event is None:
                    if not self._leaving:
                        return
                    raise DrainingError
            except _LOST as error:
                await self._take_up(error)
                continue
            if event.sequence and event.sequence <= self.last_sequence:
                continue
            self._note(event)
            yield event

    def _make_link(self) -> Link:
        address, channel = self._routes[0]
        return Link(channel, address, self._metadata)

    def _note(self, event: ServerEvent) -> None:
        self.last_sequence = max(self.last_sequence, event.sequence)
        match event.WhichOneof("event"):
            case "input_accepted":
                self._unsettled.accept(event.input_accepted)
            case "response_tool_done":
                self._unsettled.settle_tool(event.response_tool_done.result.call_id)
            case "response_done":
                self._playback = None
            case "going_away":
                self._leaving = True

    def _take_started(self, event: ServerEvent) -> None:
        self.started = event.started
        self.session_id = event.started.session.session_id
        self.last_sequence = max(self.last_sequence, event.sequence)

    async def _take_up(self, error: EnsembleError) -> None:
        """Open the session's stream again and send what was not accepted."""
        loop = asyncio.get_running_loop()
        lost, pause, tries = loop.time(), _FIRST_PAUSE_S, 0
        if not self.session_id or not self._patience:
            raise error
        if not self._start.HasField("resume_from_sequence") and not self.last_sequence:
            self.last_sequence = self.started.session.last_sequence
        await self._link.close()
        async with self._order:
            while True:
                if loop.time() - lost >= self._patience:
                    raise error
                tries += 1
                self._routes.append(self._routes.pop(0))
                link = self._make_link()
                try:
                    async with asyncio.timeout(self._patience):
                        first = await link.open(self._resumption())
                    break
                except TimeoutError:
                    raise error from None
                except _LOST:
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
            self._link = link
            self._leaving = False
            self._take_started(first)
            self._unsettled.accept(first.started.input)
            for event in self._unsettled:
                await link.send(event)
            if self._finished:
                link.finish()
        if self._on_gap is not None:
            self._on_gap(Gap(error.reason, loop.time() - lost, tries))

    def _resumption(self) -> session_events_pb2.SessionStart:
        return session_events_pb2.SessionStart(
            session_id=self.session_id,
            resume_from_sequence=self.last_sequence,
            playback=self._playback,
        )

    async def send(self, event: session_events_pb2.ClientEvent) -> None:
        """Send any event; waits while too many are on their way."""
        await self._link.send(event)

    async def _send_kept(self, event: session_events_pb2.ClientEvent) -> None:
        await self._unsettled.room()
        # Kept and sent in one go: what is sent again after a loss keeps its place in the order.
        async with self._order:
            self._unsettled.keep(event)
            await self._link.send(event)

    async def send_text(self, text: str) -> None:
        """Send a typed turn."""
        self._unsettled.texts += 1
        item = session_events_pb2.InputText(item=self._unsettled.texts, text=text)
        await self._send_kept(session_events_pb2.ClientEvent(input_text=item))

    async def send_audio(self, data: bytes, *, samples: int) -> None:
        """Send ``data``, which holds ``samples`` samples of each channel."""
        run = session_events_pb2.InputAudio(data=data, offset_samples=self._unsettled.samples)
        self._unsettled.samples += samples
        await self._send_kept(session_events_pb2.ClientEvent(input_audio=run))

    async def end_input(self) -> None:
        """Say that the spoken turn is over."""
        await self._send_kept(
            session_events_pb2.ClientEvent(input_end=session_events_pb2.InputEnd())
        )

    async def cancel_response(self, response_id: str = "") -> None:
        """Stop the answer under way."""
        cancel = session_events_pb2.ResponseCancel(response_id=response_id)
        await self.send(session_events_pb2.ClientEvent(response_cancel=cancel))

    async def report_playback(self, response_id: str, samples: int) -> None:
        """Say how much of a response has been played."""
        report = session_events_pb2.PlaybackReport(response_id=response_id, played_samples=samples)
        self._playback = report
        await self.send(session_events_pb2.ClientEvent(playback_report=report))

    async def send_tool_result(
        self, call_id: str, *, result_json: str = "", error: EnsembleError | None = None
    ) -> None:
        """Answer a tool call that the client runs itself."""
        result = tool_pb2.ToolResult(call_id=call_id)
        if error is not None:
            result.error.CopyFrom(to_status(error))
        else:
            result.result_json = result_json
        await self._send_kept(session_events_pb2.ClientEvent(tool_result=result))

    async def finish(self) -> None:
        """Half-close: what was asked is finished, then the iteration ends."""
        self._finished = True
        self._link.finish()


def raise_failed(done: session_events_pb2.ResponseDone) -> None:
    """Raise the error of a response that failed; other endings pass."""
    if done.stop_reason == common_pb2.STOP_REASON_FAILED or done.HasField("error"):
        raise from_status(done.error)
