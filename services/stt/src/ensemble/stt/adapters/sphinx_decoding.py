"""Pairs of pocketsphinx decoders: one follows the grammar, its rival any sounds at all."""

import math
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

import structlog

from ensemble.stt import pronunciation
from ensemble.stt.grammar.automaton import Automaton
from ensemble.stt.hypothesis import HeardWord, Hypothesis

_LOG = structlog.get_logger()

_SEARCH: Final = "main"
_LANGUAGE_WEIGHT: Final = 6.5
# Above the engine's own: slow and synthetic speech sets words apart by short silences.
_SILENCE_PROBABILITY: Final = 0.02
# Wider than the engine's own: a grammar with many sentences loses the right one early. Of 252
# commands 82 % were heard right with a word beam of 1e-50, 84 % with 1e-70 and no more with 1e-150.
_SOUND_BEAM: Final = 1e-70
_WORD_BEAM: Final = 1e-70
# Natural logarithm of the base of the engine's own logarithms.
_LOGARITHM: Final = math.log(1.0001)
# Bytes that the engine is handed at a time, 10 ms: it holds the interpreter while it works, and
# with more at once (speech that was held back until its loudness was known) everything else in
# the process would stand still.
_SLICE: Final = 320
# Cepstral mean of ordinary speech. The engine's own is nothing beyond the second value, and has
# it take vowels for others: of 90 commands 78 % were exact with that, 83 % with this.
_MEAN: Final = "41,-5.29,-0.12,5.09,2.48,-4.07,-1.37,-1.78,-5.08,-2.05,-6.45,-1.42,1.17"
# The same with nothing above 4 kHz, where the acoustic model listens as well: of 84 commands 39 %
# were exact and 51 % rejected with the mean of wide-band speech, 50 % and 40 % with this.
_NARROW_BAND_MEAN: Final = (
    "38.16,3.87,-10.14,10.91,3.41,-10.68,7.04,-7.98,-3.41,0.60,-11.53,3.62,-2.16"
)
_KEPT: Final = 4
"""Idle pairs that are kept for the next utterances; making one takes about 50 ms."""


class Decoding:
    """The decoders of one utterance."""

    def __init__(self, command: Any, rival: Any) -> None:
        self._decoders = (command, rival)
        self._command, self._rival = command, rival
        self._under_way = False

    def start(self, *, narrow_band: bool) -> None:
        """Begin an utterance; nothing is left of the one before."""
        mean = _NARROW_BAND_MEAN if narrow_band else _MEAN
        for decoder in self._decoders:
            if self._under_way:
                decoder.end_utt()
            # The running mean of the last speaker would spoil the first words of this one.
            decoder.set_cmn(mean)
            decoder.start_utt()
        self._under_way = True

    def push(self, pcm: bytes) -> None:
        """Take 16 kHz samples of 16 bits."""
        for start in range(0, len(pcm), _SLICE):
            for decoder in self._decoders:
                decoder.process_raw(pcm[start : start + _SLICE])

    def so_far(self) -> list[str]:
        """Return the words up to now."""
        hypothesis = self._command.hyp()
        return hypothesis.hypstr.split() if hypothesis else []

    def finish(self) -> Hypothesis:
        """Return what was said."""
        self._under_way = False
        for decoder in self._decoders:
            decoder.end_utt()
        return Hypothesis(_segments(self._command), _segments(self._rival))


def _segments(decoder: Any) -> tuple[HeardWord, ...]:
    if decoder.hyp() is None:
        return ()
    return tuple(
        HeardWord(
            segment.word.partition("(")[0]
            if segment.word[0] not in "<[+" and segment.word != "SIL"
            else "",
            segment.start_frame,
            segment.end_frame,
            # The engine hands out likelihoods, not their logarithms; the smallest become 0.
            math.log(max(segment.ascore, 1e-300)),
        )
        for segment in decoder.seg()
    )


class Decoders:
    """Makes decoders for one grammar, and keeps a few for the next utterances.

    Args:
        model: Folder of the acoustic model, its dictionary and its phone model.
        grammar: What may be said.
    """

    def __init__(self, model: Path, grammar: Automaton) -> None:
        self.grammar = grammar
        self._model = model
        self._pronunciations = _pronunciations(grammar, model / "cmudict-en-us.dict")
        self._idle: list[Decoding] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self, *, narrow_band: bool = False) -> Decoding:
        """Return decoders at the start of an utterance, one without sound above 4 kHz if so."""
        with self._lock:
            decoding = self._idle.pop() if self._idle else None
        decoding = decoding or self._make()
        decoding.start(narrow_band=narrow_band)
        return decoding

    def give_back(self, decoding: Decoding, *, reusable: bool) -> None:
        """Take decoders back; those that failed are not used again."""
        with self._lock:
            if reusable and not self._closed and len(self._idle) < _KEPT:
                self._idle.append(decoding)

    def close(self) -> None:
        """Free the idle decoders."""
        with self._lock:
            self._closed = True
            self._idle.clear()

    def _make(self) -> Decoding:
        import pocketsphinx

        # The engine reads dictionaries from files alone; it has read this one when it is made.
        with tempfile.NamedTemporaryFile("w", suffix=".dict") as dictionary:
            for word, ways in self._pronunciations.items():
                for number, phones in enumerate(ways, 1):
                    name = word if number == 1 else f"{word}({number})"
                    dictionary.write(f"{name} {phones}\n")
            dictionary.flush()
            command, rival = (
                pocketsphinx.Decoder(
                    hmm=str(self._model / "en-us"),
                    dict=dictionary.name,
                    lm=None,
                    beam=_SOUND_BEAM,
                    pbeam=_SOUND_BEAM,
                    wbeam=_WORD_BEAM,
                    silprob=_SILENCE_PROBABILITY,
                    # Its search of the lattice holds the interpreter for up to seconds.
                    bestpath=False,
                    loglevel="FATAL",
                )
                for _ in range(2)
            )
        command.add_fsg(_SEARCH, self._search(pocketsphinx, command.get_logmath()))
        command.activate_search(_SEARCH)
        rival.add_allphone_file(_SEARCH, str(self._model / "en-us-phone.lm.bin"))
        rival.activate_search(_SEARCH)
        return Decoding(command, rival)

    def _search(self, pocketsphinx: Any, logarithms: Any) -> Any:
        """Return the grammar as the engine takes it: one state more, where sentences end."""
        arcs = self.grammar.arcs
        end = len(arcs)
        search = pocketsphinx.FsgModel(_SEARCH, logarithms, _LANGUAGE_WEIGHT, end + 1)
        numbers = {word: search.word_add(word) for word in self._pronunciations}
        for state, following in enumerate(arcs):
            # Even odds: where a hundred numbers may follow, none of them comes for free.
            ways = len(following) + self.grammar.final[state]
            odds = int(-_LANGUAGE_WEIGHT * math.log(ways or 1) / _LOGARITHM)
            for word, target in following.items():
                if word in numbers:
                    search.trans_add(state, target, odds, numbers[word])
            if self.grammar.final[state]:
                search.null_trans_add(state, end, odds)
        search.set_start_state(0)
        search.set_final_state(end)
        return search


def _pronunciations(grammar: Automaton, dictionary: Path) -> dict[str, list[str]]:
    found = pronunciation.look_up(grammar.vocabulary, dictionary)
    guessed = skipped = 0
    for word in sorted(grammar.vocabulary - found.keys()):
        phones = pronunciation.spell_out(word)
        if phones:
            found[word] = [" ".join(phones)]
            guessed += 1
        else:
            skipped += 1
    if guessed or skipped:
        _LOG.warning("words without a known pronunciation", guessed=guessed, left_out=skipped)
    return found
