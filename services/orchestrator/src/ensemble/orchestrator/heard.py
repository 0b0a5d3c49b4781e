"""Which part of a text was heard, from how many samples of its speech were played."""

from dataclasses import dataclass

from ensemble.v1 import tts_service_pb2


@dataclass(slots=True)
class _Stretch:
    """Samples that say one span of the text."""

    first_sample: int
    end_sample: int
    start: int
    end: int
    exact: bool


class SpokenText:
    """Where in its speech each part of a text is said."""

    def __init__(self) -> None:
        self.text = ""
        self._stretches: list[_Stretch] = []

    def add(
        self,
        audio: tts_service_pb2.SynthesizedAudio,
        granularity: tts_service_pb2.SpanGranularity,
    ) -> None:
        """Take note of the next frame."""
        end = audio.offset_samples + len(audio.pcm) // 2
        last = self._stretches[-1] if self._stretches else None
        if last and (last.start, last.end) == (audio.span.start, audio.span.end):
            last.end_sample = end
            return
        exact = granularity == tts_service_pb2.SPAN_GRANULARITY_WORD
        self._stretches.append(
            _Stretch(audio.offset_samples, end, audio.span.start, audio.span.end, exact)
        )

    def heard(self, played: int) -> int:
        """Return how many code points of the text ``played`` samples say.

        Where the span of a frame is a clause, the position within it is estimated. A word
        counts once half of it was played.
        """
        end = 0
        for stretch in self._stretches:
            if stretch.first_sample >= played:
                break
            length = max(stretch.end_sample - stretch.first_sample, 1)
            part = min((played - stretch.first_sample) / length, 1.0)
            if part == 1.0 or (stretch.exact and part >= 0.5):
                end = stretch.end
            elif stretch.exact:
                end = stretch.start
            else:
                reached = stretch.start + int(part * (stretch.end - stretch.start))
                end = max(self._word_start(reached), stretch.start)
        return min(len(self.text[:end].rstrip()), len(self.text))

    def _word_start(self, reached: int) -> int:
        """Return where the word at ``reached`` begins, or the end of the one before it."""
        while reached > 0 and not self.text[reached - 1 : reached].isspace():
            reached -= 1
        return reached
