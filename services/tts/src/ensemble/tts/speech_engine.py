"""Gives a speech engine its owner: one thread on which everything it does runs."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from ensemble.core.errors import EngineFailedError, EnsembleError
from ensemble.tts.clauses import Clause
from ensemble.tts.frames import Frame, Framer
from ensemble.tts.ports import Granularity, Samples, Synthesizer, Voice, WordMark
from ensemble.tts.speakable import speakable

MAX_CLAUSE_SECONDS = 120
"""An engine that makes more than this of one clause is stopped: it has lost its way."""

CLAUSE_TIMEOUT = 60.0
"""Seconds within which a clause is spoken, waiting for others included."""

_log = structlog.get_logger()


@dataclass(slots=True)
class Utterance:
    """One clause on its way through the engine.

    Attributes:
        clause: What to say.
        voice: Who says it.
        rate: Speed, 1 being the voice's own.
        sample_rate: Samples a second wanted.
        deliver: Takes the frames; called on the event loop.
        aborted: Set to stop the engine at its next chunk.
    """

    clause: Clause
    voice: Voice
    rate: float
    sample_rate: int
    deliver: Callable[[Sequence[Frame]], None]
    aborted: bool = field(default=False)


class SpeechEngine:
    """Runs a ``Synthesizer`` on its owner thread.

    Utterances are spoken in the order they came. A call that hands in one clause at a time
    therefore takes turns with the others, clause by clause.
    """

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tts-engine")
        self._voices: tuple[Voice, ...] = ()

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self._synthesizer.name

    @property
    def granularity(self) -> Granularity:
        """How exact its text spans are."""
        return self._synthesizer.granularity

    @property
    def voices(self) -> Sequence[Voice]:
        """Its voices, the default first; empty before ``start``."""
        return self._voices

    async def start(self) -> None:
        """Load the engine.

        Raises:
            EngineUnavailableError: It cannot be loaded.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._synthesizer.load)
        self._voices = tuple(await loop.run_in_executor(self._thread, self._synthesizer.voices))

    async def find(self, name: str) -> Voice | None:
        """Return the voice called ``name``, None where there is none."""
        for voice in self._voices:
            if voice.name == name:
                return voice
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._synthesizer.find, name)

    async def speak(self, utterance: Utterance) -> None:
        """Say ``utterance``; every frame was delivered when this returns.

        Raises:
            EngineFailedError: The engine failed, or took longer than it may.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CLAUSE_TIMEOUT):
                await loop.run_in_executor(self._thread, self._run, utterance, loop)
        except EnsembleError:
            raise
        except TimeoutError:
            raise EngineFailedError("The speech engine took too long.") from None
        except Exception as error:
            _log.warning("speech engine failed", engine=self.name, error_type=type(error).__name__)
            raise EngineFailedError from error
        finally:
            utterance.aborted = True

    async def close(self) -> None:
        """Stop the thread and free the engine."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._synthesizer.close)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, utterance: Utterance, loop: asyncio.AbstractEventLoop) -> None:
        if utterance.aborted:
            return
        voice = utterance.voice
        framer = Framer(
            utterance.clause, self.granularity, voice.sample_rate, utterance.sample_rate
        )
        made = 0

        def emit(samples: Samples, marks: Sequence[WordMark]) -> bool:
            nonlocal made
            made += len(samples)
            if made > MAX_CLAUSE_SECONDS * voice.sample_rate:
                raise EngineFailedError("The clause takes too long to say.")
            deliver(framer.push(samples, marks))
            return not utterance.aborted

        def deliver(frames: Sequence[Frame]) -> None:
            if frames and not utterance.aborted:
                loop.call_soon_threadsafe(utterance.deliver, frames)

        text = speakable(utterance.clause.text)
        self._synthesizer.synthesize(text, voice, utterance.rate, emit)
        deliver(framer.finish())
