"""What a pair of decoders makes of an utterance."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word, a sound, or a silence (empty text).

    Attributes:
        text: The word.
        first_frame: First 10 ms of it.
        last_frame: Last 10 ms of it.
        score: Natural logarithm of its acoustic likelihood.
    """

    text: str
    first_frame: int
    last_frame: int
    score: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The best sentence of the grammar, and the best row of free sounds, of the same frames.

    Attributes:
        segments: Words and silences of the sentence.
        rival: The sounds.
    """

    segments: Sequence[HeardWord]
    rival: Sequence[HeardWord]

    @property
    def words(self) -> list[HeardWord]:
        """The sentence without its silences."""
        return [segment for segment in self.segments if segment.text]
