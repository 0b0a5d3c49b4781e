"""Listens to one session: audio in, turns out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from ensemble.core.errors import EngineUnavailableError, EnsembleError
from ensemble.orchestrator.input_audio import InputAudio, Mark, Piece
from ensemble.orchestrator.ports import Recognition, Recognizer
from ensemble.transport.status import from_status
from ensemble.v1 import session_events_pb2, stt_service_pb2

_AHEAD: Final = 64
"""Runs of audio that may wait for the recogniser before the client has to."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_TRIES: Final = 8
"""Openings of a recogniser that fail in a row before the audio is given up."""

_SILENCE_S: Final = 5.0
"""Silence that is accepted at a time, so that a client need not keep hours of it."""

_DOUBT_S: Final = 1.5
"""The end of a silence that may turn out to be the start of speech."""


class Hearing(Protocol):
    """Who is told what is heard. Positions are samples of the session."""

    async def speech_started(self, offset: int) -> None:
        """Somebody began to speak."""

    async def speech_ended(self, offset: int) -> None:
        """Somebody stopped speaking."""

    async def transcript(self, text: str) -> None:
        """What is understood so far."""

    async def understood(self, done: stt_service_pb2.TranscriptDone, end: int) -> None:
        """An utterance is complete; with it, audio up to ``end``."""

    async def silence(self, end: int) -> None:
        """Nothing was said up to ``end``."""

    async def failed(self, error: EnsembleError) -> None:
        """Listening failed, or audio was lost; it goes on."""


class Listener:
    """Keeps one recognition open while there is audio, and opens another when it fails.

    Audio that no turn has taken in is kept and heard again by the next recognition.

    Args:
        recognizer: What listens.
        make_start: Makes the start of a recognition.
        audio: The session's audio.
        hearing: Who is told.
        manual: The client says where an utterance ends.
        speech_limit_s: Speech after which an utterance is ended by us.
        spawn: Starts a task that the session owns.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        make_start: Callable[[], Awaitable[stt_service_pb2.RecognizeStart]],
        audio: InputAudio,
        hearing: Hearing,
        *,
        manual: bool,
        speech_limit_s: float,
        spawn: Callable[..., asyncio.Task[None]],
    ) -> None:
        self._recognizer = recognizer
        self._make_start = make_start
        self._audio = audio
        self._hearing = hearing
        self._manual = manual
        self._limit = int(speech_limit_s * audio.rate)
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._less = asyncio.Event()
        self._base = self._fed = 0
        self._accepted = audio.received
        self._speech_from: int | None = None
        self._opened = False

    @property
    def hears_speech(self) -> bool:
        """An utterance is under way."""
        return self._speech_from is not None

    @property
    def received(self) -> int:
        """Samples received since the session began."""
        return self._audio.received

    async def take(self, run: session_events_pb2.InputAudio) -> None:
        """Take a run of audio; waits while the recogniser is behind.

        Raises:
            InvalidAudioError: It is not whole frames, or audio before it is missing.
        """
        if not self._audio.add(run):
            return
        self._wake()
        while self._opened and self._audio.unheard > _AHEAD:
            self._less.clear()
            await self._less.wait()

    def end(self) -> None:
        """The utterance ends here."""
        self._audio.mark(Mark.END)
        self._wake()

    def clear(self) -> None:
        """Forget the utterance under way."""
        self._audio.clear()
        self._speech_from = None
        if self._task is not None:
            self._audio.mark(Mark.CLEAR)
            self._wake()

    def accept(self, samples: int) -> None:
        """Audio before ``samples`` is safe."""
        self._accepted = max(self._accepted, samples)
        self._audio.accept(samples)

    async def finish(self) -> None:
        """No more audio comes: return once all of it was understood."""
        if self._task is not None:
            self._audio.mark(Mark.FINISH)
            self._wake()
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Stop listening; the client sends again what was not accepted."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._audio.give_up(self._accepted)
        self._speech_from = None

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._spawn(self._listen(), "listen")
        self._more.set()

    async def _listen(self) -> None:
        failures = 0
        while True:
            error: EnsembleError
            try:
                if await self._listen_once():
                    return
                error = EngineUnavailableError("The recogniser ended by itself.")
            except EnsembleError as exc:
                error = exc
            finally:
                was_open, self._opened = self._opened, False
                self._less.set()
            failures = 1 if was_open else failures + 1
            if failures == 1:
                await self._hearing.failed(error)
            if failures >= _TRIES or not self._audio.counted:
                await self._hearing.failed(EngineUnavailableError("What was said is lost."))
                self._audio.clear()
                self._speech_from = None
                return
            await asyncio.sleep(min(_FIRST_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S))
            self._audio.rewind()
            self._speech_from = None

    async def _listen_once(self) -> bool:
        """Listen until the recogniser ends; True if it did so because it was asked to."""
        start = await self._make_start()
        async with self._recognizer.recognize(start) as recognition:
            self._base = self._fed = self._audio.first
            feeding = asyncio.create_task(self._feed(recognition))
            try:
                async for event in recognition:
                    await self._take_event(event, recognition)
                return feeding.done() and not feeding.cancelled()
            finally:
                feeding.cancel()
                await asyncio.wait({feeding})

    async def _feed(self, recognition: Recognition) -> None:
        while True:
            self._more.clear()
            while (piece := self._audio.next()) is not None:
                self._less.set()
                match piece.mark:
                    case Mark.AUDIO:
                        await recognition.feed(piece.data)
                        await self._note_fed(piece, recognition)
                    case Mark.END:
                        await recognition.end()
                    case Mark.CLEAR:
                        await recognition.clear()
                    case Mark.FINISH:
                        await recognition.finish()
                        return
            await self._more.wait()

    async def _note_fed(self, piece: Piece, recognition: Recognition) -> None:
        self._fed = piece.end
        if not self._audio.counted:
            return
        if self._speech_from is None and not self._manual:
            quiet = piece.end - int(_DOUBT_S * self._audio.rate)
            if quiet - self._accepted >= _SILENCE_S * self._audio.rate:
                self._accepted = quiet
                await self._hearing.silence(quiet)
        else:
            await self._end_if_long(recognition)

    async def _end_if_long(self, recognition: Recognition) -> None:
        began = self._accepted if self._speech_from is None else self._speech_from
        if self._fed - began >= self._limit:
            self._speech_from = self._fed
            await recognition.end()

    async def _take_event(
        self, event: stt_service_pb2.RecognizeResponse, recognition: Recognition
    ) -> None:
        match event.WhichOneof("event"):
            case "started":
                self._opened = True
            case "speech_started":
                self._speech_from = self._base + event.speech_started.offset_samples
                await self._hearing.speech_started(self._speech_from)
                # The recogniser may be behind what it was fed, and nothing more may come.
                if self._audio.counted:
                    await self._end_if_long(recognition)
            case "speech_ended":
                await self._hearing.speech_ended(self._base + event.speech_ended.offset_samples)
            case "transcript_delta":
                await self._hearing.transcript(event.transcript_delta.text)
            case "transcript_done":
                self._speech_from = None
                end = self._base + event.transcript_done.end_samples
                await self._hearing.understood(event.transcript_done, end)
            case "error":
                await self._hearing.failed(from_status(event.error))
