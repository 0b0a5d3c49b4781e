"""Pairs of pocketsphinx decoders: one follows the grammar, its rival any sounds at all."""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from ensemble.stt import pronunciation
from ensemble.stt.grammar.automaton import Automaton

_LOG = structlog.get_logger()

_SEARCH: Final = "main"
_LANGUAGE_WEIGHT: Final = 6.5
# Above the default: words of synthetic and of careful speech are set apart by short silences.
_SILENCE_PROBABILITY: Final = 0.05
_WORD_INSERTION: Final = 0.1
_KEPT: Final = 4
"""Idle pairs that are kept for the next utterances; making one takes about 30 ms."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of a hypothesis; frames are 10 ms, the score is per frame, acoustic alone."""

    text: str
    first_frame: int
    last_frame: int
    score: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the grammar makes of an utterance, and how well free sounds explain it.

    Attributes:
        words: What was said by the grammar.
        score: Acoustic log likelihood of each frame by the grammar's words and silences.
        rival: The same by the rival's sounds; the frames are the same.
        phones: The rival's sounds and their frames.
    """

    words: Sequence[HeardWord]
    scores: Sequence[float]
    rivals: Sequence[float]


class Decoding:
    """The decoders of one utterance."""

    def __init__(self, command: Any, rival: Any) -> None:
        self._command = command
        self._rival = rival
        self._mean: str = command.get_cmn()
        self._started = False

    def start(self) -> None:
        """Begin an utterance; nothing is left of the one before."""
        if self._started:
            self._command.end_utt()
            self._rival.end_utt()
        for decoder in (self._command, self._rival):
            decoder.set_cmn(self._mean)
            decoder.start_utt()
        self._started = True

    def push(self, pcm: bytes) -> None:
        """Take 16 kHz samples of 16 bits."""
        self._command.process_raw(pcm)
        self._rival.process_raw(pcm)

    def so_far(self) -> list[str]:
        """Return the words up to now."""
        hypothesis = self._command.hyp()
        return hypothesis.hypstr.split() if hypothesis else []

    def finish(self) -> Hypothesis:
        """Return what was said."""
        self._started = False
        self._command.end_utt()
        self._rival.end_utt()
        words = []
        scores = _by_frame(self._command)
        for segment in self._segments(self._command):
            words.append(segment)
        return Hypothesis(words, scores, _by_frame(self._rival))

    @staticmethod
    def _segments(decoder: Any) -> list[HeardWord]:
        if decoder.hyp() is None:
            return []
        return [
            HeardWord(
                segment.word.partition("(")[0],
                segment.start_frame,
                segment.end_frame,
                segment.ascore / max(1, segment.end_frame - segment.start_frame + 1),
            )
            for segment in decoder.seg()
            if segment.word[0] not in "<[("
        ]


def _by_frame(decoder: Any) -> list[float]:
    if decoder.hyp() is None:
        return []
    scores: list[float] = []
    for segment in decoder.seg():
        length = segment.end_frame - segment.start_frame + 1
        scores.extend([segment.ascore / max(1, length)] * length)
    return scores
