# ruff: noqa: RUF001 - punctuation of many scripts
"""Cuts a stream of text into the clauses that are spoken one after the other.

Where the cuts fall depends on the text and the flushes only, never on how the text arrived.
"""

import re
from collections import deque
from dataclasses import dataclass

from ensemble.tts.speakable import is_ideograph, joins_previous, weight

MAX_WEIGHT = 240
"""A clause is cut at a space before it gets heavier than this (see ``speakable.weight``)."""

_SOFT_WEIGHT = 60
_FIRST_SOFT_WEIGHT = 14
_WINDOW = 512

_STRONG = ".!?…。！？｡．"
_SOFT = ",;:，、；：､،؛"
_DASHES = "—–-"
_WIDE = "。！？｡．，、；：､"
_LINE_ENDS = "\n\r\u2029"
_OPENERS = "([\"'“‘«"
_CLOSERS = "\"'”’»›)]}」』）】》〉*_"
# A hyphen counts only where it stands alone.
_CANDIDATE = re.compile(rf"[{re.escape(_STRONG + _SOFT + _LINE_ENDS)}—–]|(?<=\s)-(?=\s)")

# Words before a full stop that end no sentence.
_ABBREVIATION = re.compile(
    "dr|mr|mrs|ms|mx|prof|rev|hon|st|sr|jr|capt|col|gen|lt|sgt|vs|viz|cf|ca|approx|dept|est|"
    "figs?|vol|eds?|pp|eq|sec|ch|al|inc|ltd|corp|co|mme|mlle|sra|dra|"
    r"e\.g|i\.e|a\.k\.a|d\.h|z\.b|u\.a|bzw|usw|nr|str|tel|evtl|ggf|inkl"
)
# These end no sentence where a number follows.
_BEFORE_NUMBER = re.compile("nos?|p|art|ref|op|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec")
_SURE_WORD = 5
"""A word of this many letters is no abbreviation, so that what follows need not be known."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of the text: ``text`` is its code points ``start`` to ``end`` of the whole."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """One past its last code point."""
        return self.start + len(self.text)


class ClauseCutter:
    """Takes text as it comes and gives out clauses as they are complete.

    The clauses put together are the text: nothing is lost, nothing doubled. A clause begins
    with the spaces before it.
    """

    def __init__(self) -> None:
        self._tail: list[str] = []
        self._tail_length = 0
        self._pieces: deque[str] = deque()
        self._window = ""
        self._start = 0
        self._fed = 0
        self._flushes: deque[int] = deque()
        self._ended = False
        self._first = True

    @property
    def pending(self) -> int:
        """Code points fed and not yet given out."""
        return self._fed - self._start

    def feed(self, text: str) -> None:
        """Add ``text`` to the end."""
        if not text:
            return
        self._fed += len(text)
        self._tail.append(text)
        self._tail_length += len(text)
        # Many small pieces are kept as few larger ones.
        if self._tail_length >= 4096:
            self._seal()

    def flush(self) -> None:
        """End the clause under way here, whatever it ends with."""
        if self._fed > self._start and (not self._flushes or self._flushes[-1] != self._fed):
            self._flushes.append(self._fed)

    def end(self) -> None:
        """Say that no more text comes."""
        self._ended = True
        self.flush()

    def next(self) -> Clause | None:
        """Return the next complete clause, or None until more is known."""
        self._fill()
        limit = len(self._window)
        closed = False
        if self._flushes:
            flush = self._flushes[0] - self._start
            if flush <= limit:
                limit, closed = flush, True
        if limit == 0:
            return None
        cut = _find_cut(self._window[:limit], closed=closed, first=self._first)
        if cut is None:
            if not closed:
                return None
            cut = limit
        clause = Clause(self._window[:cut], self._start)
        self._window = self._window[cut:]
        self._start += cut
        while self._flushes and self._flushes[0] <= self._start:
            self._flushes.popleft()
        self._first = self._first and not clause.text.strip()
        return clause

    def _seal(self) -> None:
        if self._tail:
            self._pieces.append("".join(self._tail))
            self._tail.clear()
            self._tail_length = 0

    def _fill(self) -> None:
        while len(self._window) < _WINDOW:
            if not self._pieces:
                self._seal()
            if not self._pieces:
                return
            piece = self._pieces.popleft()
            room = _WINDOW - len(self._window)
            self._window += piece[:room]
            if len(piece) > room:
                self._pieces.appendleft(piece[room:])


def _find_cut(text: str, *, closed: bool, first: bool) -> int | None:
    """Return where the clause at the start of ``text`` ends, None where that is not known yet.

    ``closed`` says that nothing follows ``text`` in its clause.
    """
    longest = _weight_limit(text)
    if longest is not None:
        # What lies further on has no say: a full clause is cut the same whenever it is seen.
        text, closed = text[: longest + 1], False
    soft_weight = _FIRST_SOFT_WEIGHT if first else _SOFT_WEIGHT
    done = 0
    for match in _CANDIDATE.finditer(text):
        at = match.start()
        if at < done:
            continue
        end = _boundary(text, at, closed=closed)
        if end is None:
            break
        done = end
        if end == at or (longest is not None and end > longest):
            continue
        if _is_soft(text[at]) and sum(map(weight, text[:end].strip())) < soft_weight:
            continue
        return end
    return None if longest is None else _break_at_space(text, longest)


def _weight_limit(text: str) -> int | None:
    """Return how many code points fit into one clause, None where all of ``text`` does."""
    total = 0
    for index, char in enumerate(text):
        total += weight(char)
        if total > MAX_WEIGHT:
            return index
    return None


def _break_at_space(text: str, longest: int) -> int:
    for at in range(longest, longest // 2, -1):
        if text[at].isspace():
            return at
    for at in range(longest, longest // 2, -1):
        # Not between a character and what combines with it.
        if not joins_previous(text[at]) and text[at - 1] != "\u200d":
            return at
    return longest


def _is_soft(mark: str) -> bool:
    return mark in _SOFT or mark in _DASHES


def _boundary(text: str, at: int, *, closed: bool) -> int | None:
    """Return the end of the clause that the mark at ``at`` ends, ``at`` if it ends none.

    None while it is not known: what follows decides and has not come.
    """
    mark = text[at]
    if mark in _LINE_ENDS:
        return at + 1 if text[:at].strip() else at
    run = next(kind for kind in (_STRONG, _SOFT, _DASHES) if mark in kind)
    end = at + 1
    while end < len(text) and text[end] in run:
        end += 1
    while end < len(text) and run is not _DASHES and text[end] in _CLOSERS:
        end += 1
    if end == len(text):
        return end if closed else None
    if mark in _WIDE or run is _DASHES:
        return end
    if not text[end].isspace():
        return end if is_ideograph(text[end]) and mark in "…!?" else at
    if mark == "." and end == at + 1:
        return _after_full_stop(text, at, closed=closed)
    return end


def _after_full_stop(text: str, at: int, *, closed: bool) -> int | None:
    start = at
    while start > 0 and not text[start - 1].isspace() and text[start - 1] not in _OPENERS:
        start -= 1
    word = text[start:at].lower()
    if _ABBREVIATION.fullmatch(word):
        return at
    if len(word) == 1 and text[start].isupper() and word != "i":
        return at
    if word.isdigit() and not text[:start].strip():
        return at
    if len(word) >= _SURE_WORD and word.isalpha():
        return at + 1
    rest = text[at + 1 :].lstrip()
    if not rest:
        return at + 1 if closed else None
    if rest[0].isdigit() and _BEFORE_NUMBER.fullmatch(word):
        return at
    return at if rest[0].islower() else at + 1
