"""Puts the service together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from ensemble.runtime.service import Channels, Service
from ensemble.stt.adapters.silero import SileroVoiceDetection
from ensemble.stt.endpointing import Endpointing
from ensemble.stt.engines import choose
from ensemble.stt.ports import Recognizer, VoiceDetection
from ensemble.stt.servicer import Engines, SttServicer
from ensemble.stt.settings import Settings
from ensemble.v1 import stt_service_pb2_grpc


def build(settings: Settings, channels: Channels) -> Service:
    """Return the service; it needs no peers."""
    return SttService(settings)


class SttService(Service):
    """Speech to text.

    Args:
        settings: What is set from outside.
        recognizer: Engine to use instead of the one that the settings name.
        detection: Voice detection to use instead of Silero.
    """

    name = "stt"

    def __init__(
        self,
        settings: Settings,
        recognizer: Recognizer | None = None,
        detection: VoiceDetection | None = None,
    ) -> None:
        self._settings = settings
        self._recognizer = recognizer
        self._detection = detection
        endpointing = Endpointing(
            complete_silence_ms=settings.complete_silence_ms,
            open_silence_ms=settings.end_silence_ms,
            end_silence_ms=settings.end_silence_ms,
            incomplete_silence_ms=settings.incomplete_silence_ms,
        )
        self._servicer = SttServicer(endpointing, settings.max_streams)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        stt_service_pb2_grpc.add_SttServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Load the engine and the voice detection.

        Raises:
            EngineUnavailableError: One of them cannot be loaded.
        """
        recognizer = self._recognizer or choose(self._settings)
        detection = self._detection or SileroVoiceDetection()
        workers = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="stt")
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(workers, recognizer.load)
            await loop.run_in_executor(workers, detection.load)
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
        self._servicer.engines = Engines(recognizer, detection, workers)

    async def drain(self) -> None:
        """Refuse new calls; open ones end between two utterances."""
        self._servicer.drain()

    async def close(self) -> None:
        """Free the engine."""
        engines, self._servicer.engines = self._servicer.engines, None
        if engines is None:
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(engines.workers, engines.recognizer.close)
        engines.workers.shutdown(wait=False, cancel_futures=True)

    def engines(self) -> Sequence[str]:
        """Return the engine and the voice detection, such as ("pocketsphinx", "silero")."""
        engines = self._servicer.engines
        return (engines.recognizer.name, engines.detection.name) if engines else ()
