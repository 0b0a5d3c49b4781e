"""The speech services as the orchestrator's ears and mouth."""

import grpc

from ensemble.orchestrator.adapters.peer_stream import Peer, PeerStream, Settling
from ensemble.v1 import (
    stt_service_pb2,
    stt_service_pb2_grpc,
    tts_service_pb2,
    tts_service_pb2_grpc,
)

_TEXT_LIMIT = 16_384
"""Code points in one message: at four bytes each it stays within the contract's 65,536."""


class _Recognition(PeerStream[stt_service_pb2.RecognizeRequest, stt_service_pb2.RecognizeResponse]):
    """One Recognize call. Implements ``Recognition``."""

    async def feed(self, data: bytes) -> None:
        await self.send(stt_service_pb2.RecognizeRequest(audio={"data": data}))

    async def end(self) -> None:
        await self.send(stt_service_pb2.RecognizeRequest(input_end={}))

    async def clear(self) -> None:
        await self.send(stt_service_pb2.RecognizeRequest(input_clear={}))

    async def finish(self) -> None:
        await self.half_close()


class _Synthesis(PeerStream[tts_service_pb2.SynthesizeRequest, tts_service_pb2.SynthesizeResponse]):
    """One Synthesize call. Implements ``Synthesis``."""

    async def say(self, text: str) -> None:
        for first in range(0, len(text), _TEXT_LIMIT):
            part = text[first : first + _TEXT_LIMIT]
            await self.send(tts_service_pb2.SynthesizeRequest(text={"text": part}))

    async def finish(self) -> None:
        await self.send(tts_service_pb2.SynthesizeRequest(input_end={}))

    async def allow(self, frames: int) -> None:
        await self.send(tts_service_pb2.SynthesizeRequest(credit={"events": frames}))


class SttRecognizer:
    """Listens with the STT service. Implements ``Recognizer``.

    Args:
        channel: To the STT service.
        settling: Owner of calls that were left.
    """

    def __init__(self, channel: grpc.aio.Channel, settling: Settling) -> None:
        self._stub = stt_service_pb2_grpc.SttServiceStub(channel)
        self._peer = Peer("speech recogniser", settling)

    def recognize(self, start: stt_service_pb2.RecognizeStart) -> _Recognition:
        """Begin to listen."""
        return _Recognition(
            self._stub.Recognize,
            stt_service_pb2.RecognizeRequest,
            self._peer,
            stt_service_pb2.RecognizeRequest(start=start),
        )


class TtsSynthesizer:
    """Speaks with the TTS service. Implements ``Synthesizer``.

    Args:
        channel: To the TTS service.
        settling: Owner of calls that were left.
    """

    def __init__(self, channel: grpc.aio.Channel, settling: Settling) -> None:
        self._stub = tts_service_pb2_grpc.TtsServiceStub(channel)
        self._peer = Peer("speech synthesiser", settling)

    def synthesize(self, start: tts_service_pb2.SynthesizeStart) -> _Synthesis:
        """Begin to speak."""
        return _Synthesis(
            self._stub.Synthesize,
            tts_service_pb2.SynthesizeRequest,
            self._peer,
            tts_service_pb2.SynthesizeRequest(start=start),
        )
