"""Speaks one response: text in, paced speech out."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ensemble.core.errors import EnsembleError
from ensemble.orchestrator.heard import SpokenText
from ensemble.orchestrator.patience import LOST, once_there
from ensemble.orchestrator.playhead import Playhead
from ensemble.orchestrator.ports import Synthesis, Synthesizer
from ensemble.transport.status import from_status
from ensemble.v1 import common_pb2, session_events_pb2, tts_service_pb2

Send = Callable[[session_events_pb2.ServerEvent], Awaitable[bool]]

_AHEAD: Final = 50
"""Frames of 20 ms that the synthesiser may be ahead of what was sent."""

_KEPT_S: Final = 1.0
"""Seconds of played speech kept for a client that comes back and had heard less."""

_LEAST_WAIT_S: Final = 0.02


@dataclass(slots=True, frozen=True)
class _Frame:
    audio: tts_service_pb2.SynthesizedAudio
    granularity: tts_service_pb2.SpanGranularity

    @property
    def end(self) -> int:
        return self.audio.offset_samples + len(self.audio.pcm) // 2

    def after(self, sample: int) -> "_Frame":
        """Return what is left of it behind ``sample``."""
        gone = sample - self.audio.offset_samples
        if gone <= 0:
            return self
        rest = tts_service_pb2.SynthesizedAudio()
        rest.CopyFrom(self.audio)
        rest.pcm = self.audio.pcm[2 * gone :]
        rest.offset_samples = sample
        return _Frame(rest, self.granularity)


class Voice:
    """The speech of one response.

    The client is led by what it reports as played, or by the clock as long as it reports
    nothing, never by more than the lead. While nobody is attached it holds its breath.

    Args:
        synthesizer: What speaks.
        start: How to speak.
        rate: Samples a second.
        lead_s: How far to be ahead of the client.
        send: Sends an event to the client; waits for room.
        on_error: Told what failed; the text of the response goes on without.
        reports: Returns whether the client reports what it plays.
        patience_s: How long a synthesiser that was lost is waited for.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        start: tts_service_pb2.SynthesizeStart,
        *,
        rate: int,
        lead_s: float,
        send: Send,
        on_error: Callable[[EnsembleError], Awaitable[None]],
        reports: Callable[[], bool] = lambda: False,
        patience_s: float = 0.0,
    ) -> None:
        self._synthesizer = synthesizer
        self._start = start
        self._start.initial_credit = _AHEAD
        self._response_id = start.context.response_id
        self._rate = rate
        self._lead = int(lead_s * rate)
        self._send = send
        self._on_error = on_error
        self._reports = reports
        self._patience_s = patience_s
        self._playhead = Playhead(rate)
        self._spoken = SpokenText()
        self._texts: deque[str] = deque()
        self._text_done = False
        self._more_text = asyncio.Event()
        self._frames: deque[_Frame] = deque()
        self._kept: deque[_Frame] = deque()
        self._made_all = False
        self._synthesis: Synthesis | None = None
        self._step = asyncio.Event()
        self._skip = 0
        self._total = 0
        self._made = 0
        self._silenced = False
        self._news = asyncio.Event()

    @property
    def has_sent(self) -> bool:
        """Some of it is on its way."""
        return self._playhead.sent > 0

    def say(self, text: str) -> None:
        """Add text of the response."""
        self._spoken.text += text
        self._texts.append(text)
        self._more_text.set()

    def finish(self) -> None:
        """Say that the response has no more text."""
        self._text_done = True
        self._more_text.set()

    def report(self, played: int) -> None:
        """Take note of how many samples the client has played."""
        self._playhead.report(played)
        self._forget()
        self._step.set()
        self._news.set()

    def silence(self) -> None:
        """Send nothing more: the client is told to drop what it has not played."""
        self._silenced = True

    def pause(self) -> None:
        """Nobody is there to hear it."""
        self._playhead.pause(self._reports())

    def resume(self, played: int | None) -> None:
        """Somebody is there again, who has heard ``played`` samples, or did not say."""
        playhead = self._playhead
        if played is not None and played > playhead.sent:
            # An earlier process spoke so far: what is made again up to there is not sent.
            self._skip = max(self._skip, played)
        heard = playhead.resumes_at(played)
        while self._kept and self._kept[-1].end > heard:
            self._frames.appendleft(self._kept.pop())
        sent = self._frames[0].audio.offset_samples if self._frames else playhead.sent
        playhead.resume(heard, sent, reported=played is not None)
        self._step.set()

    async def heard(self, wait_s: float) -> int:
        """Return how much of the text was heard: what the client says, or what the clock says.

        Called once the speech was stopped; waits at most ``wait_s`` for the client's report.
        """
        if self._playhead.sent and not self._playhead.paused:
            self._playhead.stop(wait_s)
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
        return self._spoken.heard(self._playhead.stopped_at)

    async def run(self) -> common_pb2.Usage:
        """Speak until all was played; return what the synthesiser used."""
        usage = common_pb2.Usage()
        making = asyncio.create_task(self._make(usage))
        try:
            await self._play()
            await making
        finally:
            making.cancel()
            await asyncio.wait({making})
        return usage

    async def _make(self, usage: common_pb2.Usage) -> None:
        try:
            try:
                await self._synthesize(usage)
            except LOST:
                await once_there(lambda: self._synthesize_again(usage), self._patience_s)
        except EnsembleError as exc:
            await self._on_error(exc)
        finally:
            self._made_all = True
            self._step.set()

    async def _synthesize_again(self, usage: common_pb2.Usage) -> None:
        """Go on where a synthesiser was lost: the text is spoken anew, what is there is kept."""
        self._texts = deque([self._spoken.text] if self._spoken.text else [])
        self._made = self._total
        await self._synthesize(usage)

    async def _synthesize(self, usage: common_pb2.Usage) -> None:
        async with self._synthesizer.synthesize(self._start) as synthesis:
            feeding = asyncio.create_task(self._feed(synthesis))
            self._synthesis = synthesis
            try:
                await self._receive(synthesis, usage)
            finally:
                self._synthesis = None
                feeding.cancel()
                await asyncio.wait({feeding})

    async def _feed(self, synthesis: Synthesis) -> None:
        while True:
            while self._texts:
                await synthesis.say(self._texts.popleft())
            if self._text_done:
                await synthesis.finish()
                return
            self._more_text.clear()
            await self._more_text.wait()

    async def _receive(self, synthesis: Synthesis, usage: common_pb2.Usage) -> None:
        granularity = tts_service_pb2.SPAN_GRANULARITY_UNSPECIFIED
        async for response in synthesis:
            match response.WhichOneof("event"):
                case "started":
                    granularity = response.started.granularity
                case "audio":
                    frame = _Frame(response.audio, granularity)
                    if frame.end <= self._made:
                        await synthesis.allow(1)
                        continue
                    frame = frame.after(self._made)
                    self._spoken.add(frame.audio, granularity)
                    self._frames.append(frame)
                    self._total = frame.end
                    self._step.set()
                case "error":
                    await self._on_error(from_status(response.error))
                case "done":
                    usage.CopyFrom(response.done.usage)

    async def _play(self) -> None:
        done_said = False
        while True:
            if self._playhead.paused or self._silenced:
                await self._next_step(None)
            elif self._frames:
                await self._play_one()
            elif not self._made_all:
                await self._next_step(None)
            elif not done_said and self._total:
                done_said = True
                done = session_events_pb2.ResponseAudioDone(
                    response_id=self._response_id, total_samples=self._total
                )
                await self._send(session_events_pb2.ServerEvent(response_audio_done=done))
            elif (left := self._total - self._playhead.certain(self._reports())) > 0:
                await self._next_step(max(left / self._rate, _LEAST_WAIT_S))
            else:
                return

    async def _play_one(self) -> None:
        frame = self._frames[0]
        if frame.audio.offset_samples < self._skip and not self._pass_over(frame):
            await self._synthesis_allows()
            return
        frame = self._frames[0]
        ahead = frame.end - self._lead - self._playhead.position()
        if ahead > 0:
            await self._next_step(ahead / self._rate)
            return
        if not self._playhead.sent:
            self._playhead.begin()
        event = session_events_pb2.ServerEvent()
        delta = event.response_audio_delta
        delta.response_id = self._response_id
        delta.pcm = frame.audio.pcm
        delta.offset_samples = frame.audio.offset_samples
        delta.span.CopyFrom(frame.audio.span)
        delta.granularity = frame.granularity
        # Counted as sent before the wait: a flush meanwhile must know of it.
        self._frames.popleft()
        self._kept.append(frame)
        self._playhead.sent = frame.end
        await self._send(event)
        self._forget()
        await self._synthesis_allows()

    async def _synthesis_allows(self) -> None:
        if self._synthesis is not None:
            await self._synthesis.allow(1)

    def _pass_over(self, frame: _Frame) -> bool:
        """Take a frame as heard; True if a part of it was not, which then comes first."""
        if frame.end <= self._skip:
            self._frames.popleft()
            self._playhead.pass_over(frame.end)
            return False
        self._frames[0] = frame.after(self._skip)
        return True

    async def _next_step(self, limit: float | None) -> None:
        self._step.clear()
        # Not wait_for: it may swallow a cancellation that comes together with the step.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._step.wait()

    def _forget(self) -> None:
        """Drop what was played too long ago to be asked for again."""
        oldest = self._playhead.certain(self._reports()) - int(_KEPT_S * self._rate)
        while self._kept and self._kept[0].end <= oldest:
            self._kept.popleft()
