"""What the recognition needs from engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ensemble.stt.grammar.tools import SpokenTool

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples, -1 to 1."""

TARGET_RATE: Final = 16_000
"""Samples a second that the detector and the engines listen to."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it was said, in 16 kHz samples since the start of the utterance."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an utterance said.

    Attributes:
        text: The words; empty when rejected or when nothing was said.
        rejected: It was speech, but nothing that the engine can understand.
        confidence: 0 to 1, or None where the engine does not say.
        language: BCP 47 tag.
        words: Where each was said; empty where the engine does not know.
    """

    text: str
    rejected: bool
    confidence: float | None
    language: str
    words: Sequence[Word] = ()


@dataclass(frozen=True, slots=True)
class Partial:
    """What has been understood so far.

    Attributes:
        text: The words so far.
        complete: The words are a whole sentence of the grammar; None where the engine
            cannot know.
        may_go_on: More words could follow and still make a sentence of the grammar.
    """

    text: str
    complete: bool | None = None
    may_go_on: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """What to listen for.

    Attributes:
        language: BCP 47 tag, or empty to let the engine decide.
        tools: Tools that may be spoken.
        bandwidth: Hertz up to which the audio holds anything; 4000 on the telephone.
    """

    language: str
    tools: tuple[SpokenTool, ...]
    bandwidth: int = TARGET_RATE // 2


class Utterance(Protocol):
    """One utterance being recognised. Every method may take long: never call it on the loop.

    Calls come one at a time, though not always from the same thread. Any exception means that
    this utterance is lost.
    """

    def push(self, samples: Samples) -> Partial:
        """Take 16 kHz samples; return what has been understood so far."""
        ...

    def finish(self) -> Transcript:
        """Return what was said, the utterance having ended."""
        ...

    def close(self) -> None:
        """Free what the utterance holds; the last call, also after an exception."""
        ...


class Recognizer(Protocol):
    """A speech engine."""

    name: str

    def load(self) -> None:
        """Load the engine. Takes long.

        Raises:
            EngineUnavailableError: The engine or a file of it is missing or broken.
        """
        ...

    def open(self, request: Request) -> Utterance:
        """Begin an utterance. Takes long.

        Raises:
            EngineFailedError: The engine cannot begin another.
        """
        ...

    def close(self) -> None:
        """Free the engine; no utterance is open."""
        ...


class VoiceDetector(Protocol):
    """Says how likely each 32 ms hold speech; one for each stream."""

    def push(self, samples: Samples) -> Sequence[float]:
        """Take 16 kHz samples; return the probability of each 512 that they complete."""
        ...


class VoiceDetection(Protocol):
    """A loaded voice activity model."""

    name: str

    def load(self) -> None:
        """Load the model. Takes long.

        Raises:
            EngineUnavailableError: The model or its runtime is missing.
        """
        ...

    def open(self) -> VoiceDetector:
        """Return a detector for one stream."""
        ...
