"""Between the wire and the domain: ``SttService``."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from ensemble.core.errors import (
    DrainingError,
    EngineUnavailableError,
    TooManyStreamsError,
    UnsupportedAudioFormatError,
    WrongFirstMessageError,
)
from ensemble.stt.audio import AudioReader, Encoding
from ensemble.stt.endpointing import Endpointing
from ensemble.stt.grammar.tools import SpokenTool
from ensemble.stt.ports import Recognizer, Request, VoiceDetection
from ensemble.stt.recognition import Recognition
from ensemble.stt.recognize_stream import RecognizeStream
from ensemble.v1 import common_pb2, stt_service_pb2, stt_service_pb2_grpc

_FIRST_MESSAGE_TIMEOUT: Final = 10.0

_ENCODINGS: Final = {
    common_pb2.AUDIO_ENCODING_PCM_S16LE: Encoding.PCM_S16LE,
    common_pb2.AUDIO_ENCODING_WAV: Encoding.WAV,
}


@dataclass(frozen=True, slots=True)
class Engines:
    """What a call listens with, once it is loaded.

    Attributes:
        recognizer: Turns speech into text.
        detection: Finds speech.
        workers: Threads that do the work of all calls.
    """

    recognizer: Recognizer
    detection: VoiceDetection
    workers: Executor


class SttServicer(stt_service_pb2_grpc.SttServiceServicer):
    """Serves ``SttService``.

    Args:
        endpointing: When an utterance ends, unless a call asks for something else.
        max_streams: Calls that may be open at once.

    Attributes:
        engines: What calls listen with; None while nothing is loaded.
    """

    def __init__(self, endpointing: Endpointing, max_streams: int) -> None:
        self.engines: Engines | None = None
        self._endpointing = endpointing
        self._max_streams = max_streams
        self._open: set[RecognizeStream] = set()
        self._opening = 0
        self._draining = False

    def drain(self) -> None:
        """Refuse new calls, and end each open one between two utterances."""
        self._draining = True
        for stream in self._open:
            stream.leave()

    async def Recognize(
        self,
        request_iterator: AsyncIterator[stt_service_pb2.RecognizeRequest],
        context: Any,
    ) -> AsyncIterator[stt_service_pb2.RecognizeResponse]:
        """Recognise a stream of audio; the contract has the state machine."""
        if self._draining:
            raise DrainingError
        if self.engines is None:
            raise EngineUnavailableError
        if len(self._open) + self._opening >= self._max_streams:
            raise TooManyStreamsError
        self._opening += 1
        try:
            first = await _first_message(request_iterator)
            stream = self._stream(self.engines, first, request_iterator)
            self._open.add(stream)
        finally:
            self._opening -= 1
        try:
            async with aclosing(stream.responses()) as responses:
                async for response in responses:
                    if response.HasField("done"):
                        # Whoever has read this may open the next call.
                        self._open.discard(stream)
                    yield response
        finally:
            self._open.discard(stream)
            await stream.close()

    def _stream(
        self,
        engines: Engines,
        first: stt_service_pb2.RecognizeRequest,
        requests: AsyncIterator[stt_service_pb2.RecognizeRequest],
    ) -> RecognizeStream:
        start = first.start
        encoding = _ENCODINGS.get(start.format.encoding)
        if encoding is None:
            raise UnsupportedAudioFormatError("The encoding of the audio is not said.")
        reader = AudioReader(encoding, start.format.sample_rate_hertz, start.format.channel_count)
        by_voice = start.turn_detection != stt_service_pb2.TURN_DETECTION_MANUAL
        endpointing = self._endpointing
        if start.end_silence_ms:
            endpointing = endpointing.with_silence(start.end_silence_ms)
        recognition = Recognition(
            engines.recognizer,
            Request(
                start.language,
                tuple(
                    SpokenTool(tool.name, tool.input_schema_json, tuple(tool.utterances))
                    for tool in start.tools
                ),
            ),
            reader,
            engines.detection.open() if by_voice else None,
            endpointing,
        )
        return RecognizeStream(
            requests,
            first,
            recognition,
            engines.workers,
            engine=engines.recognizer.name,
            vad=engines.detection.name if by_voice else "",
        )


async def _first_message(
    requests: AsyncIterator[stt_service_pb2.RecognizeRequest],
) -> stt_service_pb2.RecognizeRequest:
    try:
        async with asyncio.timeout(_FIRST_MESSAGE_TIMEOUT):
            first = await anext(aiter(requests))
    except (StopAsyncIteration, TimeoutError):
        raise WrongFirstMessageError from None
    if first.WhichOneof("event") != "start":
        raise WrongFirstMessageError
    return first
