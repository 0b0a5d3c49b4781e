"""Has recordings heard by the recognition as the service runs it, without the service."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.audio.resampler import Resampler
from ensemble.stt.adapters.pocketsphinx import PocketsphinxRecognizer
from ensemble.stt.adapters.silero import SileroVoiceDetection
from ensemble.stt.audio import AudioReader, Encoding
from ensemble.stt.endpointing import Endpointing
from ensemble.stt.grammar.tools import SpokenTool
from ensemble.stt.ports import TARGET_RATE, Request, Samples, Transcript
from ensemble.stt.recognition import Recognised, Recognition


@dataclass(frozen=True)
class Heard:
    """One utterance.

    Attributes:
        transcript: What it said.
        decided_at: Seconds of audio that had come when that was known.
    """

    transcript: Transcript
    decided_at: float


class Listener:
    """Listens with the embedded engine.

    Args:
        tools: What may be spoken.
        rate: Samples a second that the service is given.
    """

    def __init__(self, tools: Sequence[SpokenTool], rate: int = TARGET_RATE) -> None:
        self._rate = rate
        self._recognizer = PocketsphinxRecognizer()
        self._detection = SileroVoiceDetection()
        self._recognizer.load()
        self._detection.load()
        self._request = Request("", tuple(tools))

    def listen(self, recording: Samples) -> list[Heard]:
        """Return the utterances of ``recording`` (16 kHz), fed in chunks of 20 ms."""
        recognition = Recognition(
            self._recognizer,
            self._request,
            AudioReader(Encoding.PCM_S16LE, self._rate, 1),
            self._detection.open(),
            Endpointing(),
        )
        resampler = Resampler(TARGET_RATE, self._rate)
        samples = np.concatenate([resampler.push(recording), resampler.flush()])
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        chunk = self._rate // 50
        heard = []
        for start in range(0, len(pcm) + chunk, chunk):
            data = pcm[start : start + chunk].tobytes()
            events = recognition.push(data) if data else recognition.finish()
            decided_at = (start + chunk) / self._rate
            heard += [
                Heard(event.transcript, decided_at)
                for event in events
                if isinstance(event, Recognised)
            ]
        recognition.close()
        return heard
