"""Where an utterance begins and ends."""

import numpy as np
import pytest

from ensemble.stt.audio import AudioReader, Encoding
from ensemble.stt.endpointing import FRAME, Endpointer, Endpointing
from ensemble.stt.ports import Partial, Request, Samples
from ensemble.stt.recognition import Event, Recognised, Recognition, SpeechEnded, SpeechStarted
from ensemble.testkit.fixtures.scripted_recognizer import (
    LoudnessDetection,
    ScriptedRecognizer,
    ScriptedUtterance,
)

pytestmark = pytest.mark.unit


class _Knowing(ScriptedRecognizer):
    """Says of every partial result whether it is complete."""

    def __init__(self, complete: bool | None, may_go_on: bool = True) -> None:
        super().__init__()
        self.known = (complete, may_go_on)

    def open(self, request: Request) -> ScriptedUtterance:
        super().open(request)
        return _KnowingUtterance(self, 0)


class _KnowingUtterance(ScriptedUtterance):
    def push(self, samples: Samples) -> Partial:
        partial = super().push(samples)
        assert isinstance(self._script, _Knowing)
        return Partial(partial.text, *self._script.known)


def _events(
    recognizer: ScriptedRecognizer, recording: Samples, rules: Endpointing | None = None
) -> list[tuple[int, Event]]:
    """Return each event with the sample after which it came."""
    recognition = Recognition(
        recognizer,
        Request("", ()),
        AudioReader(Encoding.PCM_S16LE, 16_000, 1),
        LoudnessDetection().open(),
        rules or Endpointing(),
    )
    pcm = (recording * 32767).astype("<i2")
    found = []
    for start in range(0, len(pcm), FRAME):
        events = recognition.push(pcm[start : start + FRAME].tobytes())
        found += [(start + FRAME, event) for event in events]
    recognition.close()
    return found


def _frames(*runs: tuple[int, bool]) -> Samples:
    return np.concatenate([np.full(count * FRAME, 0.5 * loud, np.float32) for count, loud in runs])


@pytest.mark.parametrize(
    ("complete", "may_go_on", "wait_ms"),
    [(True, False, 256), (True, True, 480), (None, True, 480), (False, True, 736)],
)
def test_the_wait_depends_on_what_was_understood(
    complete: bool | None, may_go_on: bool, wait_ms: int
) -> None:
    recording = _frames((20, False), (20, True), (40, False))
    found = _events(_Knowing(complete, may_go_on), recording)
    (decided,) = [at for at, event in found if isinstance(event, Recognised)]
    assert decided == (40 * 32 + wait_ms) * 16
    (ended,) = [event for _, event in found if isinstance(event, SpeechEnded)]
    assert ended.offset == 40 * FRAME


def test_a_caller_may_ask_for_a_silence_of_its_own() -> None:
    recording = _frames((20, False), (20, True), (60, False))
    found = _events(_Knowing(True, False), recording, Endpointing().with_silence(960))
    (decided,) = [at for at, event in found if isinstance(event, Recognised)]
    assert decided == (40 * 32 + 960) * 16


def test_a_pause_within_an_unfinished_sentence_is_waited_for() -> None:
    recording = _frames((20, False), (20, True), (12, False), (20, True), (40, False))
    found = _events(_Knowing(False), recording)
    assert sum(isinstance(event, Recognised) for _, event in found) == 1


def test_clicks_are_no_speech() -> None:
    assert not _events(ScriptedRecognizer(), _frames((20, False), (2, True), (40, False)))


def test_a_plosive_does_not_delay_the_start() -> None:
    recording = _frames((20, False), (2, True), (1, False), (10, True), (40, False))
    (started,) = [e for _, e in _events(ScriptedRecognizer(), recording)
                  if isinstance(e, SpeechStarted)]  # fmt: skip
    assert started.offset == 20 * FRAME


def test_the_engine_hears_what_came_before_the_first_voiced_frame() -> None:
    recognizer = ScriptedRecognizer()
    _events(recognizer, _frames((40, False), (20, True), (40, False)))
    (heard,) = recognizer.heard
    assert heard == (20 * 32 + 480 + 256) * 16


def test_the_start_of_the_stream_is_no_obstacle() -> None:
    found = _events(ScriptedRecognizer(), _frames((20, True), (40, False)))
    (started,) = [e for _, e in found if isinstance(e, SpeechStarted)]
    assert started.offset == 0


def test_frames_between_the_two_probabilities_keep_speech_going() -> None:
    endpointer = Endpointer(Endpointing())
    assert not any(endpointer.push(0.4) for _ in range(10))
    assert [endpointer.push(0.9) for _ in range(3)] == [False, False, True]
    endpointer.push(0.4)
    assert endpointer.silence_ms == 0
    endpointer.push(0.1)
    assert endpointer.silence_ms == 32
