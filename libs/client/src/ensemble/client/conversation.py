"""One side of a conversation: what a person says and hears, event by event."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import grpc.aio

from ensemble.client.failures import is_loss
from ensemble.client.link import Link
from ensemble.client.playback import Playback
from ensemble.client.unsettled import Unsettled
from ensemble.core.errors import ConfigurationError, DrainingError, EnsembleError
from ensemble.core.ids import new_id
from ensemble.transport.status import to_status
from ensemble.v1 import session_events_pb2, tool_pb2

ServerEvent = session_events_pb2.ServerEvent

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0

PATIENCE_S: Final = 15.0
"""Seconds for which a lost stream is tried to be taken up again."""

Dial = Callable[[str], grpc.aio.Channel]
"""Returns the channel to an address; somebody else closes it."""


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
    accepted. Events of the record come once each and without a gap; so does audio.
    A gateway that goes away is left for another one, if one is known.
    ``session_id`` is known once the context is entered.

    Args:
        addresses: Gateways, the one to begin with first.
        dial: Gives the way there.
        start: How to begin.
        metadata: Sent with each stream.
        patience: Seconds for which a lost stream is tried again; 0 raises at once.
        connect_within: Seconds for which the first stream is tried; each gateway once at least.
        on_lost: Told why a stream was lost, when trying again begins.
        on_gap: Told of each loss that was made good.

    Raises:
        EnsembleError: From entering, sending or iterating, with the reason the server gave.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        dial: Dial,
        start: session_events_pb2.SessionStart,
        *,
        metadata: tuple[tuple[str, str], ...] = (),
        patience: float = PATIENCE_S,
        connect_within: float = 0.0,
        on_lost: Callable[[EnsembleError], None] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> None:
        self._addresses = list(addresses)
        self._dial = dial
        self._start = start
        if not start.session_id and not start.request_id:
            # A second gateway that is asked joins the session that the first one made.
            start.request_id = new_id("req")
        self._metadata = metadata
        self._patience = patience
        self._connect_within = connect_within
        self._on_lost = on_lost
        self._on_gap = on_gap
        self._unsettled = Unsettled()
        self._playback = Playback(reports=start.HasField("playback"))
        self._order = asyncio.Lock()
        self._connected = True
        self._finished = False
        self._leaving = False
        self._lost_at = 0.0
        self._pause = _FIRST_PAUSE_S
        self._response_id = ""
        self._stopped = ""
        self.started = session_events_pb2.SessionStarted()
        self.session_id = ""
        self.last_sequence = start.resume_from_sequence

    async def __aenter__(self) -> Self:
        first = await self._open_somewhere()
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
                if self._leaving and self._patience and len(self._addresses) > 1:
                    raise DrainingError
                event = await self._link.next()
                if event is None:
                    if not self._leaving:
                        return
                    raise DrainingError
            except EnsembleError as error:
                if not is_loss(error):
                    raise
                await self._take_up(error)
                continue
            if event.sequence and event.sequence <= self.last_sequence:
                continue
            if self._note(event):
                yield event

    def _make_link(self) -> Link:
        address = self._addresses[0]
        return Link(self._dial(address), address, self._metadata)

    async def _open_somewhere(self) -> ServerEvent:
        """Begin at the first gateway that takes us."""
        loop = asyncio.get_running_loop()
        until, tries = loop.time() + self._connect_within, 0
        while True:
            self._link = self._make_link()
            try:
                return await self._link.open(self._start)
            except EnsembleError as error:
                tries += 1
                enough = tries >= len(self._addresses) and loop.time() >= until
                if enough or not is_loss(error):
                    raise
                self._addresses.append(self._addresses.pop(0))
                if tries >= len(self._addresses):
                    await self._rest(error)

    def _note(self, event: ServerEvent) -> bool:
        """Take note of what ``event`` says; False when all of it was known."""
        self.last_sequence = max(self.last_sequence, event.sequence)
        self._lost_at, self._pause = 0.0, _FIRST_PAUSE_S
        match event.WhichOneof("event"):
            case "input_accepted":
                self._unsettled.accept(event.input_accepted)
            case "input_committed":
                self._unsettled.accept(event.input_committed.accepted)
            case "response_started":
                self._response_id = event.response_started.response_id
                self._playback.begin(self._response_id)
            case "response_audio_delta":
                return self._playback.take(event.response_audio_delta)
            case "response_tool_done":
                self._unsettled.settle_tool(event.response_tool_done.result.call_id)
            case "response_done":
                self._response_id = self._stopped = ""
                self._playback.done()
                self._unsettled.settle_tools()
            case "going_away":
                self._leaving = True
                self._learn(event.going_away.gateways)
        return True

    def _learn(self, addresses: Sequence[str]) -> None:
        """Take note of other gateways: those are tried before the ones known from before."""
        for address in reversed(addresses):
            # One that cannot be dialled from here is as good as none.
            with contextlib.suppress(ConfigurationError):
                if address not in self._addresses:
                    self._dial(address)
                    self._addresses.insert(1, address)

    def _take_started(self, event: ServerEvent) -> None:
        self.started = event.started
        self.session_id = event.started.session.session_id
        self.last_sequence = max(self.last_sequence, event.sequence)

    async def _take_up(self, error: EnsembleError) -> None:
        """Open the session's stream again and send what was not accepted."""
        loop = asyncio.get_running_loop()
        if not self.session_id or not self._patience:
            raise error
        if not self._start.HasField("resume_from_sequence") and not self.last_sequence:
            self.last_sequence = self.started.session.last_sequence
        lost, tries = loop.time(), 0
        self._connected = False
        await self._link.close()
        if self._lost_at:
            # Streams that open and break before anything comes are one loss.
            await self._rest(error)
        else:
            self._lost_at = lost
            if self._on_lost is not None:
                self._on_lost(error)
        while True:
            left = self._lost_at + self._patience - loop.time()
            if left <= 0:
                raise error
            tries += 1
            try:
                first = await self._reopen(left)
                break
            except TimeoutError:
                raise error from None
            except EnsembleError as again:
                if not is_loss(again):
                    raise
                await self._rest(again)
        self._take_started(first)
        await self._send_again(first.started.input)
        if self._on_gap is not None:
            self._on_gap(Gap(error.reason, loop.time() - lost, tries))

    async def _rest(self, error: EnsembleError) -> None:
        await asyncio.sleep(max(self._pause * random.uniform(0.5, 1.0), error.retry_after or 0.0))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)

    async def _reopen(self, limit: float) -> ServerEvent:
        """Open the stream at the next gateway."""
        self._addresses.append(self._addresses.pop(0))
        link = self._make_link()
        async with asyncio.timeout(limit):
            first = await link.open(self._resumption())
        self._link = link
        self._leaving = False
        return first

    async def _send_again(self, accepted: session_events_pb2.InputAccepted) -> None:
        async with self._order:
            self._unsettled.accept(accepted)
            for event in self._unsettled:
                await self._link.send(event)
            self._connected = True
        if self._stopped:
            await self._send_cancel(self._stopped)
        if self._finished:
            self._link.finish()

    def _resumption(self) -> session_events_pb2.SessionStart:
        return session_events_pb2.SessionStart(
            session_id=self.session_id,
            resume_from_sequence=self.last_sequence,
            playback=self._playback.heard(),
        )

    async def send(self, event: session_events_pb2.ClientEvent) -> None:
        """Send any event; waits while too many are on their way. A loss may swallow it."""
        await self._link.send(event)

    async def _send_kept(self, event: session_events_pb2.ClientEvent) -> None:
        await self._unsettled.room()
        # Kept and sent in one go: what is sent again after a loss keeps its place in the order.
        async with self._order:
            self._unsettled.keep(event)
            if self._connected:
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
        """Stop the answer under way, also when the stream is lost before the server hears it."""
        if response_id in ("", self._response_id):
            self._stopped = response_id = self._response_id
        await self._send_cancel(response_id)

    async def _send_cancel(self, response_id: str) -> None:
        cancel = session_events_pb2.ResponseCancel(response_id=response_id)
        await self.send(session_events_pb2.ClientEvent(response_cancel=cancel))

    async def report_playback(self, response_id: str, samples: int) -> None:
        """Say how much of a response has been played."""
        report = session_events_pb2.PlaybackReport(response_id=response_id, played_samples=samples)
        self._playback.report(report)
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
        if self._connected:
            self._link.finish()
