"""Pocketsphinx with a grammar made from the tools that may be spoken."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from ensemble.core.errors import EngineFailedError, EngineUnavailableError
from ensemble.stt.adapters.sphinx_decoding import Decoders, Decoding
from ensemble.stt.grammar import tools
from ensemble.stt.grammar.automaton import Automaton, GrammarTooLargeError
from ensemble.stt.level import Leveller
from ensemble.stt.ports import TARGET_RATE, Partial, Request, Samples, Transcript, Word
from ensemble.stt.rejection import Rejection

_LANGUAGE: Final = "en-US"
_FRAME: Final = TARGET_RATE // 100
_KEPT_GRAMMARS: Final = 4
_TELEPHONE: Final = 4000


class PocketsphinxRecognizer:
    """Understands what the grammar says, and rejects the rest.

    Args:
        most_utterances: Utterances recognised at the same time; each has decoders of its own,
            about 10 MB.
    """

    name = "pocketsphinx"

    def __init__(self, most_utterances: int = 16) -> None:
        self._most = most_utterances
        self._open = 0
        self._lock = threading.Lock()
        self._grammars: OrderedDict[tuple[tools.SpokenTool, ...], Decoders] = OrderedDict()
        self._model: Path | None = None
        self._rejection: Rejection | None = None

    def load(self) -> None:
        """Find the engine and its acoustic model.

        Raises:
            EngineUnavailableError: Pocketsphinx is not installed or has lost its model.
        """
        try:
            import pocketsphinx
        except ImportError as error:
            raise EngineUnavailableError(
                "pocketsphinx is missing; install the extra ensemble-stt[pocketsphinx]."
            ) from error
        model = Path(pocketsphinx.get_model_path()) / "en-us"
        if not (model / "en-us" / "mdef").is_file():
            raise EngineUnavailableError("The acoustic model of pocketsphinx is missing.")
        self._rejection = Rejection.load()
        self._model = model

    def open(self, request: Request) -> "PocketsphinxUtterance":
        """Begin an utterance.

        Raises:
            EngineFailedError: As many utterances are open as there may be, or the tools say
                more than the engine can hold.
        """
        with self._lock:
            if self._model is None or self._rejection is None:
                raise EngineFailedError("The engine is not loaded.")
            if self._open >= self._most:
                raise EngineFailedError("Too many people speak at once; try again.")
            self._open += 1
        try:
            decoders = self._decoders(request.tools)
            decoding = decoders.take(narrow_band=request.bandwidth <= _TELEPHONE)
            return PocketsphinxUtterance(self, decoders, decoding, self._rejection)
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Free the decoders."""
        with self._lock:
            grammars = list(self._grammars.values())
            self._grammars.clear()
            self._model = None
        for decoders in grammars:
            decoders.close()

    def _decoders(self, spoken: tuple[tools.SpokenTool, ...]) -> Decoders:
        # Building is rare (a new set of tools) and takes a tenth of a second, under the lock.
        with self._lock:
            known = self._grammars.get(spoken)
            if known is None:
                assert self._model is not None
                try:
                    known = Decoders(self._model, tools.build(spoken))
                except GrammarTooLargeError as error:
                    raise EngineFailedError("The tools have too many utterances.") from error
                self._grammars[spoken] = known
                if len(self._grammars) > _KEPT_GRAMMARS:
                    self._grammars.popitem(last=False)[1].close()
            self._grammars.move_to_end(spoken)
            return known

    def _release(self) -> None:
        with self._lock:
            self._open -= 1


class PocketsphinxUtterance:
    """One utterance."""

    def __init__(
        self,
        recognizer: PocketsphinxRecognizer,
        decoders: Decoders,
        decoding: Decoding,
        rejection: Rejection,
    ) -> None:
        self._recognizer = recognizer
        self._decoders = decoders
        self._decoding: Decoding | None = decoding
        self._rejection = rejection
        self._grammar: Automaton = decoders.grammar
        self._leveller = Leveller()
        self._intact = True

    def push(self, samples: Samples) -> Partial:
        """Take 16 kHz samples; return what has been understood so far."""
        self._decode(self._leveller.push(samples))
        words = self._require().so_far()
        state = self._grammar.follow(words)
        if not words or state is None:
            return Partial(" ".join(words), complete=False)
        following = self._grammar.arcs[state]
        return Partial(
            " ".join(words),
            complete=self._grammar.final[state],
            may_go_on=self._grammar.is_open(state) if following else False,
        )

    def finish(self) -> Transcript:
        """Return what was said; rejected where the grammar does not explain it well."""
        self._decode(self._leveller.flush())
        hypothesis = self._require().finish()
        words = hypothesis.words
        if not words or not self._grammar.accepts(word.text for word in words):
            return Transcript("", True, 0.0, _LANGUAGE)
        confidence = self._rejection.confidence(hypothesis)
        if confidence < self._rejection.threshold:
            return Transcript("", True, confidence, _LANGUAGE)
        return Transcript(
            " ".join(word.text for word in words),
            False,
            confidence,
            _LANGUAGE,
            [
                Word(word.text, word.first_frame * _FRAME, (word.last_frame + 1) * _FRAME)
                for word in words
            ],
        )

    def close(self) -> None:
        """Give the decoders back; ones that failed are thrown away."""
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            self._decoders.give_back(decoding, reusable=self._intact)
            self._recognizer._release()

    def _decode(self, samples: Samples) -> None:
        if not len(samples):
            return
        self._intact = False
        self._require().push((samples * 32767).astype("<i2").tobytes())
        self._intact = True

    def _require(self) -> Decoding:
        if self._decoding is None:
            raise EngineFailedError("The utterance is closed.")
        return self._decoding
