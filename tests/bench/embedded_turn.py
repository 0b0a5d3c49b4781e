"""A spoken question to the assistant as it comes out of the box.

The real stack in one process, real engines, several voices of espeak-ng, audio fed at the
speed at which it is spoken. Half of the speakers pause for 400 ms within the sentence; who is
taken at his word before he has finished was cut off. Each speaker is timed from the last
voiced sample to the first audio of the answer.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ensemble.client import EnsembleClient
from ensemble.client.conversation import Conversation
from ensemble.core.errors import EnsembleError
from ensemble.testkit.fixtures import speak
from ensemble.testkit.stack import Stack
from ensemble.v1 import common_pb2, session_pb2
from tests.bench.report import Row, percentile, row

_RATE: Final = 16_000
_FRAME: Final = _RATE // 50
_LEAD_S: Final = 0.4
_PAUSE_S: Final = 0.4
_PATIENCE_S: Final = 4.0
_AT_ONCE: Final = 4
_LOUD: Final = 300
_NOISE: Final = 60.0
_FIXED_MS: Final = 700

# "|" is where half of them pause; the others say the same in one breath.
_SENTENCES: Final = (
    "turn on | the kitchen light",
    "turn off the lamp | in the bedroom",
    "switch on | the living room fan",
    "set the office lamp | to forty percent",
    "is the garage light | on",
    "set a timer | for ten minutes",
    "set a timer for | twenty five seconds",
    "how many timers | are running",
    "cancel | all timers",
    "remind me to call mum | in ten minutes",
    "what time | is it",
    "what is | the date today",
    "what is seven | plus five",
    "what is ninety | minus twelve",
    "remember that the car key | is in the drawer",
    "where is | the car key",
    "turn off | the television in the living room",
    "what are | my reminders",
)
_VOICES: Final = ("en-us", "en-gb-x-rp", "en-us+f3", "en-us+m3", "en", "en-us+f2")


@dataclass(frozen=True)
class Utterance:
    """One spoken question.

    Attributes:
        text: What is said.
        voice: Who says it.
        samples: int16[n], 16 kHz: lead, speech, and silence long enough for any answer.
        voiced_until: One past the last voiced sample.
    """

    text: str
    voice: str
    samples: NDArray[np.int16]
    voiced_until: int


@dataclass(frozen=True)
class Heard:
    """What came of it; seconds since the first sample.

    Attributes:
        ended: When the last voiced sample was spoken.
        committed: When a transcript was committed first; None if none was.
        answered: When the first audio came.
        transcript: What was understood first.
    """

    text: str
    ended: float
    committed: float | None
    answered: float | None
    transcript: str

    @property
    def was_cut_off(self) -> bool:
        """It was taken as said before it was."""
        return self.committed is not None and self.committed < self.ended


async def run(quick: bool) -> list[Row]:
    """Ask everything, once with the endpointing as it is and once with a fixed silence."""
    utterances = await asyncio.to_thread(_utterances, 8 if quick else 2 * len(_SENTENCES))
    # Both at once would be on each other's processors.
    found = await _ask_all(utterances, {})
    fixed = [] if quick else await _ask_all(utterances, _fixed_silence())
    return _rows(found, fixed)


def _fixed_silence() -> dict[str, str]:
    names = ("END", "COMPLETE", "INCOMPLETE")
    return {f"ENSEMBLE_STT_{name}_SILENCE_MS": str(_FIXED_MS) for name in names}


def _utterances(count: int) -> list[Utterance]:
    voices = itertools.cycle(_VOICES)
    pauses = itertools.chain(
        ((sentence, number % 2 == 0) for number, sentence in enumerate(_SENTENCES)),
        ((sentence, number % 2 == 1) for number, sentence in enumerate(_SENTENCES)),
    )
    return [
        _utterance(sentence, voice, pause)
        for (sentence, pause), voice, _ in zip(pauses, voices, range(count), strict=False)
    ]


def _utterance(sentence: str, voice: str, pause: bool) -> Utterance:
    parts = sentence.split(" | ")
    if not pause:
        parts = [" ".join(parts)]
    between = np.zeros(round(_PAUSE_S * _RATE))
    pieces = [np.zeros(round(_LEAD_S * _RATE))]
    for number, part in enumerate(parts):
        said = speak(part, voice, _RATE, noise=0.0).astype(np.float64)
        voiced = np.flatnonzero(np.abs(said) > _LOUD)
        pieces += [between] * (number > 0) + [said[voiced[0] : voiced[-1] + 1]]
    voiced_until = sum(map(len, pieces))
    samples = np.concatenate([*pieces, np.zeros(round(_PATIENCE_S * _RATE))])
    samples += np.random.default_rng(len(sentence)).normal(0.0, _NOISE, len(samples))
    text = sentence.replace(" | ", " ")
    return Utterance(text, voice, np.clip(samples, -32768, 32767).astype(np.int16), voiced_until)


async def _ask_all(utterances: list[Utterance], environ: Mapping[str, str]) -> list[Heard]:
    with tempfile.TemporaryDirectory(prefix="ens-") as folder:
        stack = Stack("inproc", Path(folder), environ=environ)
        try:
            await stack.start()
            async with stack.client() as client:
                # The first one pays for what is made once, as everyone's second does not.
                await _ask(client, utterances[0])
                gate = asyncio.Semaphore(_AT_ONCE)

                async def one(utterance: Utterance) -> Heard:
                    async with gate:
                        return await _ask(client, utterance)

                return list(await asyncio.gather(*map(one, utterances)))
        finally:
            stack.close()


async def _ask(client: EnsembleClient, utterance: Utterance) -> Heard:
    form = common_pb2.AudioFormat(encoding=1, sample_rate_hertz=_RATE, channel_count=1)
    config = session_pb2.SessionConfig(input_audio=form, output_audio=form)
    async with client.converse(config=config) as conversation:
        begin = time.monotonic()
        feeding = asyncio.create_task(_feed(conversation, utterance.samples, begin))
        committed = answered = None
        transcript = ""
        ended = utterance.voiced_until / _RATE
        try:
            async with (
                asyncio.timeout(ended + _PATIENCE_S),
                aclosing(_arrivals(conversation)) as arrivals,
            ):
                async for kind, event in arrivals:
                    now = time.monotonic() - begin
                    if kind == "input_committed" and committed is None:
                        committed, transcript = now, event.input_committed.text
                    elif kind == "response_audio_delta" and now > ended:
                        answered = now
                        break
        except (TimeoutError, EnsembleError):
            # Never answered, or lost on the way; told in the rows.
            pass
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
    return Heard(utterance.text, ended, committed, answered, transcript)


async def _arrivals(conversation: Conversation) -> Any:
    async for event in conversation:
        yield event.WhichOneof("event"), event


async def _feed(conversation: Conversation, samples: NDArray[np.int16], begin: float) -> None:
    for number, at in enumerate(range(0, len(samples), _FRAME)):
        # A microphone hands over a frame once its last sample was spoken.
        await asyncio.sleep(begin + (number + 1) * _FRAME / _RATE - time.monotonic())
        run = samples[at : at + _FRAME]
        await conversation.send_audio(run.tobytes(), samples=len(run))


def _rows(found: list[Heard], fixed: list[Heard]) -> list[Row]:
    rows = []
    for name, share, goal in (("p50", 0.5, "<= 450"), ("p90", 0.9, None)):
        baseline = percentile(_delays(fixed), share) if fixed else None
        rows.append(
            row(
                f"first_audio.{name}",
                percentile(_delays(found), share),
                "ms",
                baseline=baseline,
                goal=goal,
            )
        )
    rows.append(
        row(
            "cut_off",
            _percent(found, lambda each: each.was_cut_off),
            "%",
            baseline=_percent(fixed, lambda each: each.was_cut_off) if fixed else None,
            goal="<= 5",
        )
    )
    rows += [
        row("understood", _percent(found, lambda each: each.transcript == each.text), "%"),
        row("unanswered", _percent(found, lambda each: each.answered is None), "%"),
        row("utterances", len(found), ""),
    ]
    return rows


def _delays(heard: list[Heard]) -> list[float]:
    """Return the milliseconds of those who were let finish and answered."""
    return [
        (each.answered - each.ended) * 1000
        for each in heard
        if each.answered is not None and not each.was_cut_off
    ]


def _percent(heard: list[Heard], which: Any) -> float:
    return 100 * sum(map(which, heard)) / len(heard)
