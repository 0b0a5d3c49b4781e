"""Puts the service together."""

from collections.abc import Sequence

import grpc

from ensemble.runtime.service import Channels, Service
from ensemble.tts.engines import candidates, start_first
from ensemble.tts.ports import Synthesizer
from ensemble.tts.servicer import TtsServicer
from ensemble.tts.settings import Settings
from ensemble.tts.speech_engine import SpeechEngine
from ensemble.v1 import tts_service_pb2_grpc


def build(settings: Settings, channels: Channels) -> Service:
    """Return the service; it needs no peers."""
    return TtsService(settings)


class TtsService(Service):
    """Text to speech.

    Args:
        settings: What is set from outside.
        synthesizers: Engines to try instead of those that the settings name.
    """

    name = "tts"

    def __init__(
        self, settings: Settings, synthesizers: Sequence[Synthesizer] | None = None
    ) -> None:
        self._settings = settings
        self._synthesizers = synthesizers
        self._engine: SpeechEngine | None = None
        self._servicer = TtsServicer(lambda: self._engine, settings.max_streams)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        tts_service_pb2_grpc.add_TtsServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Load the engine.

        Raises:
            EngineUnavailableError: None can be loaded.
        """
        self._engine = await start_first(list(self._synthesizers or candidates(self._settings)))

    async def close(self) -> None:
        """Free the engine."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    def engines(self) -> Sequence[str]:
        """Return the engine with its default voice, such as "espeak-ng:en-us"."""
        engine = self._engine
        return (f"{engine.name}:{engine.voices[0].name}",) if engine else ()
