"""Decoding must not stop the rest of the process: the engine holds the interpreter's lock."""

import threading
import time

import numpy as np
import pytest
from stt_training.household_tools import TOOLS
from stt_training.voices import in_room, say

from ensemble.stt.adapters.pocketsphinx import PocketsphinxRecognizer
from ensemble.stt.ports import Request, Samples

pytestmark = pytest.mark.integration

OUTSIDE = (
    "i would like to order a large pizza with extra cheese",
    "who won the football game last night",
    "the weather has been terrible all week long",
)


class Pulse:
    """Wakes every millisecond; while it sleeps longer, something holds the interpreter."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        before = time.perf_counter()
        while not self._over.wait(0.001):
            now = time.perf_counter()
            self.longest = max(self.longest, now - before)
            before = now


def test_speech_outside_the_grammar_does_not_hold_up_other_threads() -> None:
    recognizer = PocketsphinxRecognizer()
    recognizer.load()
    request = Request("", TOOLS)
    recognizer.open(request).close()
    rng = np.random.default_rng(21)
    recordings = [in_room(say(text), rng=rng, noise=0.001) for text in OUTSIDE]
    # The quietest of three: whatever else runs here, the lattice search took 0.3 s to 3 s.
    pauses = [_longest_pause(recognizer, request, recordings) for _ in range(3)]
    assert min(pauses) < 0.2


def _longest_pause(
    recognizer: PocketsphinxRecognizer, request: Request, recordings: list[Samples]
) -> float:
    with Pulse() as pulse:
        for recording in recordings:
            utterance = recognizer.open(request)
            # As much at once as arrives when loudness was unknown for long.
            for start in range(0, len(recording), 16_000):
                utterance.push(recording[start : start + 16_000])
            utterance.finish()
            utterance.close()
    return pulse.longest
