"""Has recordings heard by the recognition as the service runs it, without the service."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensemble.stt.adapters.pocketsphinx import PocketsphinxRecognizer
from ensemble.stt.adapters.silero import SileroVoiceDetection
from ensemble.stt.audio import AudioReader, Encoding
from ensemble.stt.endpointing import Endpointing
from ensemble.stt.grammar.tools import SpokenTool
from ensemble.stt.ports import Request, Samples, Transcript
from ensemble.stt.recognition import Recognised, Recognition

_CHUNK = 320


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
    """Listens with the embedded engine."""

    def __init__(self, tools: Sequence[SpokenTool]) -> None:
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
            AudioReader(Encoding.PCM_S16LE, 16_000, 1),
            self._detection.open(),
            Endpointing(),
        )
        pcm = (np.clip(recording, -1, 1) * 32767).astype("<i2")
        heard = []
        for start in range(0, len(pcm) + _CHUNK, _CHUNK):
            data = pcm[start : start + _CHUNK].tobytes()
            events = recognition.push(data) if data else recognition.finish()
            decided_at = (start + _CHUNK) / 16_000
            heard += [
                Heard(event.transcript, decided_at)
                for event in events
                if isinstance(event, Recognised)
            ]
        recognition.close()
        return heard
