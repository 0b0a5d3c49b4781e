"""From audio to what was said: one stream, utterance by utterance. Blocks; knows no gRPC."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import structlog

from ensemble.core.errors import EngineFailedError, EnsembleError, InvalidAudioError
from ensemble.stt.audio import AudioReader
from ensemble.stt.endpointing import FRAME, Endpointer, Endpointing
from ensemble.stt.ports import (
    TARGET_RATE,
    Partial,
    Recognizer,
    Request,
    Samples,
    Transcript,
    Utterance,
    VoiceDetector,
    Word,
)

_LOG = structlog.get_logger()

LONGEST_UTTERANCE: Final = 30 * TARGET_RATE
"""Samples after which an utterance ends though the speaker goes on: 30 s (DESIGN §5)."""

# The engine hears this much at once: fine enough that silence is noticed frame by frame.
_STEP: Final = FRAME


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak, at this sample of the input."""

    offset: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Somebody stopped speaking; one past the last voiced sample of the input."""

    offset: int


@dataclass(frozen=True, slots=True)
class TextSoFar:
    """What has been understood of the utterance, in place of the one before."""

    text: str


@dataclass(frozen=True, slots=True)
class Recognised:
    """What an utterance said.

    Attributes:
        transcript: The words; their positions are samples of the input since its start.
        start: First sample of the utterance, at the rate of the input.
        end: One past its last sample.
    """

    transcript: Transcript
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Failed:
    """An utterance was lost; the stream goes on."""

    error: EnsembleError


Event = SpeechStarted | SpeechEnded | TextSoFar | Recognised | Failed


class Recognition:
    """Cuts a stream into utterances and has each recognised.

    Every method may take long and none may run beside another. The events of a call come as
    they arise: a caller that stops drawing them stops the work.

    Args:
        recognizer: The engine.
        request: What to listen for.
        reader: Turns the bytes of the stream into samples.
        detector: Finds speech; None where the caller says where an utterance ends.
        endpointing: When an utterance ends.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        request: Request,
        reader: AudioReader,
        detector: VoiceDetector | None,
        endpointing: Endpointing,
    ) -> None:
        self._recognizer = recognizer
        self._request = request
        self._reader = reader
        self._detector = detector
        self._endpointer = Endpointer(endpointing)
        self._padding = endpointing.padding_ms * TARGET_RATE // 1000
        # Least speech can be a few frames old when it is noticed.
        self._lookback = self._padding + 8 * FRAME
        self._came = False
        self._heard = 0
        self._recent: Samples = np.zeros(0, np.float32)
        self._pending: Samples = np.zeros(0, np.float32)
        self._utterance: Utterance | None = None
        self._lost = False
        self._start = 0
        self._partial = Partial("")

    @property
    def samples_read(self) -> int:
        """Samples of one channel read, at the rate of the input."""
        return self._reader.samples_read

    @property
    def rate(self) -> int:
        """Rate of the input; 0 until it is known."""
        return self._reader.rate

    @property
    def is_listening(self) -> bool:
        """An utterance is under way."""
        return self._utterance is not None or self._lost

    def push(self, data: bytes) -> Iterator[Event]:
        """Take a run of audio.

        Raises:
            InvalidAudioError: The audio cannot be read.
            UnsupportedAudioFormatError: A WAV header names a format that is not supported.
        """
        self._came = True
        yield from self._listen(self._reader.push(data))

    def finish(self) -> Iterator[Event]:
        """The audio has ended: recognise what is under way.

        Raises:
            InvalidAudioError: The audio ended before it should have. What was heard until
                then has been recognised.
        """
        error: EnsembleError | None = None
        if not self._came:
            return
        try:
            last = self._reader.finish()
        except EnsembleError as problem:
            error, last = problem, self._reader.rest()
        yield from self._listen(last)
        yield from self.end()
        if error is None and not self._reader.samples_read:
            error = InvalidAudioError("The audio is empty.")
        if error is not None:
            raise error

    def end(self) -> Iterator[Event]:
        """End the utterance under way, if there is one."""
        if self._pending.size:
            rest, self._pending = self._pending, self._pending[:0]
            yield from self._hear(rest)
        if self.is_listening:
            yield from self._finish_utterance()
        self._endpointer.reset()

    def clear(self) -> Iterator[Event]:
        """Drop the utterance under way; there is nothing to tell about it."""
        self._close_utterance()
        self._endpointer.reset()
        self._recent = self._recent[:0]
        yield from ()

    def close(self) -> None:
        """Free what the stream holds."""
        self._close_utterance()

    def _listen(self, samples: Samples) -> Iterator[Event]:
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= _STEP:
            step, self._pending = self._pending[:_STEP], self._pending[_STEP:]
            yield from self._hear(step)

    def _hear(self, samples: Samples) -> Iterator[Event]:
        self._heard += len(samples)
        if self._detector is None:
            if not self.is_listening:
                yield from self._begin(self._heard - len(samples))
            yield from self._feed(samples)
        else:
            yield from self._hear_by_voice(self._detector, samples)
        if self._utterance is not None and self._heard - self._start >= LONGEST_UTTERANCE:
            yield from self._finish_utterance()
            self._endpointer.reset()

    def _hear_by_voice(self, detector: VoiceDetector, samples: Samples) -> Iterator[Event]:
        begins = False
        for probability in detector.push(samples):
            begins = self._endpointer.push(probability) or begins
        if begins:
            recent = np.concatenate([self._recent, samples])
            begun = self._endpointer.begun_at or 0
            start = max(begun - self._padding, self._heard - len(recent), 0)
            yield from self._begin(start, begun)
            yield from self._feed(recent[start - self._heard :])
        elif self._endpointer.begun_at is not None:
            yield from self._feed(samples)
            if self._endpointer.ended(self._partial.complete, self._partial.may_go_on):
                yield from self._finish_utterance()
                self._endpointer.reset()
        self._recent = np.concatenate([self._recent, samples])[-self._lookback :]

    def _begin(self, start: int, voiced: int | None = None) -> Iterator[Event]:
        self._start, self._lost, self._partial = start, False, Partial("")
        yield SpeechStarted(self._at(start if voiced is None else voiced))
        # Known by now: a WAV header tells the rate.
        bandwidth = min(self._reader.rate, TARGET_RATE) // 2
        try:
            self._utterance = self._recognizer.open(replace(self._request, bandwidth=bandwidth))
        except Exception as error:
            yield self._lose(error)

    def _feed(self, samples: Samples) -> Iterator[Event]:
        if self._utterance is None:
            return
        before = self._partial.text
        try:
            self._partial = self._utterance.push(samples)
        except Exception as error:
            yield self._lose(error)
            return
        if self._partial.text and self._partial.text != before:
            yield TextSoFar(self._partial.text)

    def _finish_utterance(self) -> Iterator[Event]:
        end = self._heard
        voiced = self._endpointer.voiced_until if self._detector is not None else end
        yield SpeechEnded(self._at(voiced))
        if self._utterance is not None:
            try:
                transcript = self._utterance.finish()
            except Exception as error:
                yield self._lose(error)
            else:
                yield Recognised(self._placed(transcript), self._at(self._start), self._at(end))
        self._close_utterance()
        self._recent = self._recent[:0]

    def _lose(self, error: Exception) -> Failed:
        """Give up the utterance; the next gets a fresh decoder."""
        _LOG.warning("utterance lost", engine=self._recognizer.name, error=type(error).__name__)
        self._close_utterance()
        self._lost = True
        self._partial = Partial("")
        return Failed(error if isinstance(error, EnsembleError) else EngineFailedError())

    def _close_utterance(self) -> None:
        utterance, self._utterance = self._utterance, None
        self._lost = False
        if utterance is not None:
            try:
                utterance.close()
            except Exception as error:
                _LOG.warning(
                    "engine left badly", engine=self._recognizer.name, error=type(error).__name__
                )

    def _at(self, position: int) -> int:
        """Return the sample of the input at a 16 kHz position."""
        return min(position * self._reader.rate // TARGET_RATE, self._reader.samples_read)

    def _placed(self, transcript: Transcript) -> Transcript:
        """Return ``transcript`` with its words at samples of the input."""
        words = tuple(
            Word(word.text, self._at(self._start + word.start), self._at(self._start + word.end))
            for word in transcript.words
        )
        return replace(transcript, words=words)
