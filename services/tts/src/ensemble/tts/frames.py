"""Cuts the audio of a clause into frames of 20 ms that say which text they hold."""

import bisect
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.audio import resampler
from ensemble.tts.clauses import Clause
from ensemble.tts.ports import Granularity, Samples, WordMark

FRAMES_PER_SECOND = 50

_IDEOGRAPHS = "\u2e80-\u2fdf\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(f"\\s*(?:[{_IDEOGRAPHS}]|[^\\s{_IDEOGRAPHS}]+)\\s*")


@dataclass(frozen=True, slots=True)
class Frame:
    """Audio of 20 ms, or less at the end of a clause.

    Attributes:
        pcm: Mono samples, signed 16-bit little-endian.
        start: First code point of the text it says, over the whole text of the call.
        end: One past the last.
    """

    pcm: bytes
    start: int
    end: int

    @property
    def sample_count(self) -> int:
        """Samples it holds."""
        return len(self.pcm) // 2


class Framer:
    """Makes the frames of one clause.

    The spans of its frames rise and leave nothing out: a word's span reaches to the next
    word, the first begins and the last ends with the clause.
    """

    def __init__(
        self, clause: Clause, granularity: Granularity, source_rate: int, target_rate: int
    ) -> None:
        self._clause = clause
        self._source_rate = source_rate
        self._rate = target_rate
        self._resampler = resampler.Resampler(source_rate, target_rate)
        self._word_ends = (
            [match.end() for match in _WORD.finditer(clause.text)]
            if granularity is Granularity.WORD
            else []
        ) or [len(clause.text)]
        # The word being said, and those that follow: (first sample, start, end).
        self._word = (0, 0, self._word_ends[0])
        self._words: deque[tuple[int, int, int]] = deque()
        self._held: Samples = np.zeros(0, np.int16)
        self._sent = 0
        self._index = 0

    def push(self, samples: Samples, marks: Sequence[WordMark]) -> list[Frame]:
        """Take what the engine made and return the frames that are full."""
        for mark in marks:
            self._begin_word(mark)
        self._hold(self._resampler.push(samples.astype(np.float32)))
        return list(self._cut())

    def finish(self) -> list[Frame]:
        """Return the rest."""
        self._hold(self._resampler.flush())
        frames = list(self._cut())
        if len(self._held):
            frames.append(self._frame(self._held, last=True))
        return frames

    def _begin_word(self, mark: WordMark) -> None:
        end = self._word_ends[
            min(bisect.bisect_right(self._word_ends, mark.position), len(self._word_ends) - 1)
        ]
        last_end = (self._words[-1] if self._words else self._word)[2]
        if end > last_end:
            self._words.append((mark.sample * self._rate // self._source_rate, last_end, end))

    def _hold(self, resampled: resampler.Samples) -> None:
        samples = np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)
        self._held = np.concatenate((self._held, samples)) if len(self._held) else samples

    def _cut(self) -> Iterator[Frame]:
        # One sample at least is kept back: the last frame is known only at the end.
        while True:
            end = (self._index + 1) * self._rate // FRAMES_PER_SECOND
            length = end - self._sent
            if len(self._held) <= length:
                return
            samples, self._held = self._held[:length], self._held[length:]
            yield self._frame(samples, last=False)

    def _advance(self) -> None:
        following = self._words.popleft()
        # A word without audio of its own is said with the next one.
        start = self._word[1] if following[0] <= self._word[0] else following[1]
        self._word = (following[0], start, following[2])

    def _frame(self, samples: Samples, *, last: bool) -> Frame:
        end_sample = self._sent + len(samples)
        while self._words and self._words[0][0] <= self._sent:
            self._advance()
        start = self._word[1]
        while self._words and (last or self._words[0][0] < end_sample):
            self._advance()
        end = len(self._clause.text) if last else self._word[2]
        self._sent = end_sample
        self._index += 1
        offset = self._clause.start
        return Frame(samples.astype("<i2", copy=False).tobytes(), offset + start, offset + end)
