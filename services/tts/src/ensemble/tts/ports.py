"""What this service needs from a speech engine."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16]
"""Mono samples."""


class Granularity(enum.Enum):
    """How exactly an engine tells which text a sample says."""

    WORD = "word"
    CLAUSE = "clause"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that can be chosen.

    Attributes:
        name: What it is chosen by.
        engine: Engine that speaks it.
        language: BCP 47 tag.
        sample_rate: Samples a second that the engine makes.
    """

    name: str
    engine: str
    language: str
    sample_rate: int


@dataclass(frozen=True, slots=True)
class WordMark:
    """The word at code point ``position`` of the text begins at ``sample`` of its audio."""

    sample: int
    position: int


Emit: TypeAlias = Callable[[Samples, Sequence[WordMark]], bool]
"""Takes the next samples, at the voice's rate, and the words that begin in them.

Returns False when nobody wants more: the engine then stops as soon as it can.
"""


class Synthesizer(Protocol):
    """A speech engine. All but ``name`` and ``granularity`` run on one thread, its owner."""

    name: str
    granularity: Granularity

    def load(self) -> None:
        """Make ready to speak.

        Raises:
            EngineUnavailableError: The engine or its voice is missing or damaged.
        """

    def voices(self) -> Sequence[Voice]:
        """Return every voice, the default first, then in order of name."""

    def find(self, name: str) -> Voice | None:
        """Return the voice called ``name``, None where there is none."""

    def synthesize(self, text: str, voice: Voice, rate: float, emit: Emit) -> None:
        """Speak ``text`` into ``emit``.

        Args:
            text: One clause, without control characters.
            voice: One that ``voices`` or ``find`` gave.
            rate: Speed, 1 being the voice's own; the nearest the engine can is used.
            emit: Where the audio goes.
        """

    def close(self) -> None:
        """Free everything."""
