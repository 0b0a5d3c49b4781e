"""Where speech begins and ends, from the probability that each frame is speech."""

from dataclasses import dataclass
from typing import Final

FRAME: Final = 512
"""16 kHz samples of one frame: 32 ms."""

_FRAME_MS: Final = 32


@dataclass(frozen=True, slots=True)
class Endpointing:
    """How a speaker's turn is cut out of the audio. Times in milliseconds.

    People pause within a sentence for longer than one wants to wait after its end, so the
    wait depends on what was understood: a sentence that the grammar holds complete ends
    soon, one that is visibly unfinished is given time.

    Attributes:
        start_probability: A frame this likely to be speech begins it.
        stop_probability: A frame less likely than this is silence.
        least_speech_ms: Speech shorter than this is a click.
        complete_silence_ms: Silence that ends a complete sentence.
        open_silence_ms: Silence that ends a sentence which is complete but might go on.
        end_silence_ms: Silence that ends an utterance of which nothing is known.
        incomplete_silence_ms: Silence that ends an unfinished sentence.
        padding_ms: What is kept before the first voiced frame.
    """

    start_probability: float = 0.5
    stop_probability: float = 0.35
    least_speech_ms: int = 96
    complete_silence_ms: int = 256
    open_silence_ms: int = 480
    end_silence_ms: int = 480
    incomplete_silence_ms: int = 736
    padding_ms: int = 256

    def with_silence(self, silence_ms: int) -> "Endpointing":
        """Return one that ends every utterance after ``silence_ms``, as a caller asked for."""
        return Endpointing(
            self.start_probability,
            self.stop_probability,
            self.least_speech_ms,
            silence_ms,
            silence_ms,
            silence_ms,
            silence_ms,
            self.padding_ms,
        )


class Endpointer:
    """Follows one stream, frame by frame.

    Attributes:
        begun_at: First voiced 16 kHz sample of the utterance under way; None between two.
        voiced_until: One past the last voiced sample of the utterance under way.
    """

    def __init__(self, endpointing: Endpointing) -> None:
        self._rules = endpointing
        self._frames = 0
        self._voiced = 0
        self._run_start = 0
        self._quiet = 0
        self.begun_at: int | None = None
        self.voiced_until = 0

    @property
    def silence_ms(self) -> int:
        """Silence since the last voiced frame."""
        return (self._frames * FRAME - self.voiced_until) * _FRAME_MS // FRAME

    def push(self, probability: float) -> bool:
        """Take the next frame; return whether speech begins with what has been heard."""
        rules = self._rules
        begin = self._frames * FRAME
        self._frames += 1
        if self.begun_at is not None:
            if probability >= rules.stop_probability:
                self.voiced_until = begin + FRAME
            return False
        if probability >= rules.start_probability:
            if self._voiced == 0:
                self._run_start = begin
            self._voiced += 1
            self._quiet = 0
        elif self._voiced and probability < rules.stop_probability:
            # One unvoiced frame may be a plosive in the first word.
            self._quiet += 1
            if self._quiet > 1:
                self._voiced = self._quiet = 0
        if self._voiced * _FRAME_MS < rules.least_speech_ms:
            return False
        self.begun_at, self.voiced_until = self._run_start, begin + FRAME
        return True

    def ended(self, complete: bool | None, may_go_on: bool) -> bool:
        """Whether the silence so far ends the utterance.

        Args:
            complete: What was understood is a whole sentence; None where nobody knows.
            may_go_on: More words could follow it.
        """
        rules = self._rules
        if complete is None:
            wait = rules.end_silence_ms
        elif not complete:
            wait = rules.incomplete_silence_ms
        else:
            wait = rules.open_silence_ms if may_go_on else rules.complete_silence_ms
        return self.silence_ms >= wait

    def reset(self) -> None:
        """Wait for the next utterance."""
        self.begun_at = None
        self._voiced = self._quiet = 0
