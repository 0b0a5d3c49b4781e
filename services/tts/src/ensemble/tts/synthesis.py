"""One synthesis: text goes in, events come out, at the pace of whoever takes them."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EngineFailedError, EnsembleError
from ensemble.tts.clauses import Clause, ClauseCutter
from ensemble.tts.frames import Frame
from ensemble.tts.ports import Voice
from ensemble.tts.speakable import is_pronounceable, speakable
from ensemble.tts.speech_engine import SpeechEngine, Utterance

LOOK_AHEAD_EVENTS = 25
"""The next clause is begun when fewer events wait: half a second of audio."""

MAX_PENDING_TEXT = 1 << 20
"""Code points of text that may wait; the caller is read no further beyond it."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """``frame`` of speech; ``offset`` samples were given out before it."""

    frame: Frame
    offset: int


@dataclass(frozen=True, slots=True)
class ClauseSpoken:
    """The code points ``start`` to ``end`` were spoken; ``offset`` samples so far."""

    start: int
    end: int
    offset: int


@dataclass(frozen=True, slots=True)
class ClauseFailed:
    """The code points ``start`` to ``end`` could not be spoken, or not to their end."""

    start: int
    end: int
    error: EnsembleError


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more comes; ``samples`` were given out in all."""

    cancelled: bool
    samples: int


Event: TypeAlias = Spoken | ClauseSpoken | ClauseFailed | Finished


class Synthesis:
    """Speaks the text of one call, clause by clause.

    At most one clause of it is with the engine, and none is begun while half a second of
    audio waits to be taken. What waits is bounded by the weight of a clause, so that a slow
    taker costs little memory and never holds up the engine for the others.

    Args:
        engine: What speaks.
        voice: The voice.
        rate: Speed, 1 being the voice's own.
        sample_rate: Samples a second of the frames.
        initial_credit: Frames that may be given out before more is granted; 0 for no limit.
    """

    def __init__(
        self,
        engine: SpeechEngine,
        voice: Voice,
        *,
        rate: float = 1.0,
        sample_rate: int,
        initial_credit: int = 0,
    ) -> None:
        self._engine = engine
        self._voice = voice
        self._rate = rate
        self._sample_rate = sample_rate
        self._credit = CreditWindow(initial_credit)
        self._cutter = ClauseCutter()
        self._out: deque[Frame | ClauseSpoken | ClauseFailed | Finished] = deque()
        self._utterance: Utterance | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._cancelled = False
        self._failure: BaseException | None = None
        self._samples = 0
        self._speaker = asyncio.create_task(self._speak(), name="tts-synthesis")

    async def feed(self, text: str) -> None:
        """Add ``text``; waits while too much of it is still to be spoken."""
        while self._cutter.pending >= MAX_PENDING_TEXT and not self._cancelled:
            self._room.clear()
            await self._room.wait()
        self._cutter.feed(text)
        self._wake()

    def flush(self) -> None:
        """Speak what is there without waiting for its clause to end."""
        self._cutter.flush()
        self._wake()

    def end(self) -> None:
        """Say that no more text comes."""
        self._ended = True
        self._cutter.end()
        self._wake()

    @property
    def voice(self) -> Voice:
        """Who speaks."""
        return self._voice

    @property
    def sample_rate(self) -> int:
        """Samples a second of the frames."""
        return self._sample_rate

    @property
    def ended(self) -> bool:
        """Whether no more text comes."""
        return self._ended

    def cancel(self) -> None:
        """Give out no more audio: the next event is the last."""
        self._cancelled = True
        if self._utterance is not None:
            self._utterance.aborted = True
        self._out.clear()
        # Whoever waits for credit is to see the cancellation instead.
        self._credit.grant(1)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Let ``next`` raise ``error``."""
        self._failure = error
        self.cancel()

    def grant(self, frames: int) -> None:
        """Allow ``frames`` more."""
        self._credit.grant(frames)

    async def next(self) -> Event:
        """Wait for the next event. May be cancelled and called again: nothing is lost."""
        while True:
            if self._failure is not None:
                raise self._failure
            if self._cancelled:
                return Finished(cancelled=True, samples=self._samples)
            if not self._out:
                await self._wait()
            elif not isinstance(self._out[0], Frame):
                return self._take()
            else:
                await self._credit.take()
                if not self._cancelled:
                    return self._take()

    async def close(self) -> None:
        """Stop what is under way."""
        self.cancel()
        self._speaker.cancel()
        await asyncio.gather(self._speaker, return_exceptions=True)

    def _take(self) -> Event:
        event = self._out.popleft()
        self._wake()
        if isinstance(event, Frame):
            spoken = Spoken(event, self._samples)
            self._samples += event.sample_count
            return spoken
        if isinstance(event, ClauseSpoken):
            return ClauseSpoken(event.start, event.end, self._samples)
        if isinstance(event, Finished):
            return Finished(event.cancelled, self._samples)
        return event

    def _wake(self) -> None:
        self._changed.set()
        self._room.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _speak(self) -> None:
        try:
            while not self._cancelled:
                clause = self._cutter.next() if len(self._out) < LOOK_AHEAD_EVENTS else None
                if clause is not None:
                    await self._speak_clause(clause)
                elif self._ended and not self._cutter.pending:
                    self._out.append(Finished(cancelled=False, samples=0))
                    return
                else:
                    await self._wait()
        except Exception as error:
            self.fail(error)
        finally:
            self._wake()

    async def _speak_clause(self, clause: Clause) -> None:
        if not is_pronounceable(speakable(clause.text)):
            self._deliver_end(ClauseSpoken(clause.start, clause.end, 0))
            return
        self._utterance = Utterance(
            clause, self._voice, self._rate, self._sample_rate, self._deliver
        )
        try:
            await self._engine.speak(self._utterance)
        except EngineFailedError as error:
            error.metadata |= {"spanStart": str(clause.start), "spanEnd": str(clause.end)}
            self._deliver_end(ClauseFailed(clause.start, clause.end, error))
        else:
            self._deliver_end(ClauseSpoken(clause.start, clause.end, 0))
        finally:
            self._utterance = None

    def _deliver(self, frames: Sequence[Frame]) -> None:
        if not self._cancelled:
            self._out.extend(frames)
            self._changed.set()

    def _deliver_end(self, event: ClauseSpoken | ClauseFailed) -> None:
        if not self._cancelled:
            self._out.append(event)
            self._changed.set()
