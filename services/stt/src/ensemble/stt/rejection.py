"""Whether what the grammar made of an utterance is what was said.

A grammar explains anything: it takes the sentence that fits best. How well that sentence fits,
beside the best row of free sounds and in the rhythm of its words, tells commands from the
rest. The weights come from training/fit_rejection.py. Its threshold (0.3131: 4 % of sentences
outside taken for commands, on data held apart) took too many of the 220 sentences of
training/evaluate.py and was raised to 0.36: 3.6 % of them are taken and 8 % of 84 commands
rejected (six synthetic voices; for the threshold that list is not blind).
Speech of 8 kHz is rejected far more often (40 %): the acoustic model knows wide-band speech.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ensemble.stt.hypothesis import HeardWord, Hypothesis

FEATURES: Final = (
    "fit", "worst_fit", "two_worst_fits", "likelihood", "worst_likelihood", "rival",
    "worst_stretch_fit", "worst_stretch_likelihood", "longest_letter", "shortest_letter",
    "letter_spread", "letter_mean", "sounds_a_letter", "pauses", "words", "length",
    "spoken_share", "low_fit", "low_likelihood", "noise_share",
)  # fmt: skip
"""What an utterance is judged by, in the order of ``features``."""

_STRETCH: Final = 20
_LIMIT: Final = 4.0

Vector = NDArray[np.float64]


def features(hypothesis: Hypothesis) -> Vector:
    """Return what tells commands from the rest; the hypothesis has words."""
    # From the first word to the last: how much silence is around them says nothing.
    start = hypothesis.words[0].first_frame
    length = hypothesis.words[-1].last_frame + 1 - start
    segments = _within(hypothesis.segments, start, length)
    free = _within(hypothesis.rival, start, length)
    words = [part for part in segments if part.text]
    command = _by_frame(segments, length)
    rival = _by_frame(free, length)
    fit = command - rival
    spoken = np.zeros(length, bool)
    for word in words:
        spoken[word.first_frame : word.last_frame + 1] = True
    fits = np.sort([_mean(fit, word) for word in words])
    likelihoods = np.sort([_mean(command, word) for word in words])
    letters = [_frames(word) / len(word.text) for word in words]
    sounds = [part for part in free if part.text]
    noise = sum(_frames(part) for part in free if not part.text)
    inner = [part for part in segments if not part.text]
    window = np.ones(_STRETCH) / _STRETCH
    return np.array(
        [
            fit[spoken].mean(),
            fits[0],
            fits[:2].mean(),
            command[spoken].mean(),
            likelihoods[0],
            rival[spoken].mean(),
            np.convolve(np.where(spoken, fit, 0.0), window, "same").min(),
            np.convolve(np.where(spoken, command, 0.0), window, "same").min(),
            max(letters),
            min(letters),
            np.std(letters),
            np.mean(letters),
            len(sounds) / sum(len(word.text) for word in words),
            sum(_frames(part) for part in inner) / length,
            len(words),
            np.log(length),
            spoken.mean(),
            np.quantile(fit[spoken], 0.1),
            np.quantile(command[spoken], 0.1),
            noise / length,
        ]
    )


@dataclass(frozen=True, slots=True)
class Rejection:
    """A logistic regression over ``features`` and their squares.

    Attributes:
        mean: Of each feature in training.
        spread: Standard deviation of each feature in training.
        weights: Of the features, their squares, and 1.
        threshold: Confidence below which an utterance is rejected.
    """

    mean: Vector
    spread: Vector
    weights: Vector
    threshold: float

    @classmethod
    def load(cls) -> "Rejection":
        """Return the one that ships with the service."""
        text = files("ensemble.stt").joinpath("rejection.json").read_text("utf-8")
        return cls.from_json(json.loads(text))

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Rejection":
        """Return what ``training/fit_rejection.py`` stored."""
        if tuple(stored["features"]) != FEATURES:
            raise ValueError("the weights are of other features")
        return cls(
            np.array(stored["mean"]),
            np.array(stored["spread"]),
            np.array(stored["weights"]),
            float(stored["threshold"]),
        )

    def confidence(self, hypothesis: Hypothesis) -> float:
        """Return how likely the hypothesis is what was said, 0 to 1."""
        row = expand((features(hypothesis) - self.mean) / self.spread)
        return float(1 / (1 + np.exp(-(row @ self.weights))))


def expand(standard: Vector) -> Vector:
    """Return standardised features with their squares and a 1; rows stay rows."""
    bounded = np.clip(standard, -_LIMIT, _LIMIT)
    ones = np.ones((*standard.shape[:-1], 1))
    return np.concatenate([bounded, bounded**2, ones], axis=-1)


def _within(parts: Sequence[HeardWord], start: int, length: int) -> list[HeardWord]:
    """Return what lies within the frames, counted from their start, scores shared out."""
    cut = []
    for part in parts:
        first, last = max(part.first_frame - start, 0), min(part.last_frame - start, length - 1)
        if first <= last:
            score = part.score * (last - first + 1) / _frames(part)
            cut.append(HeardWord(part.text, first, last, score))
    return cut


def _by_frame(parts: Sequence[HeardWord], length: int) -> Vector:
    scores = np.zeros(length)
    for part in parts:
        scores[part.first_frame : part.last_frame + 1] = part.score / _frames(part)
    return scores


def _frames(part: HeardWord) -> int:
    return part.last_frame - part.first_frame + 1


def _mean(scores: Vector, word: HeardWord) -> float:
    return float(scores[word.first_frame : word.last_frame + 1].mean())
