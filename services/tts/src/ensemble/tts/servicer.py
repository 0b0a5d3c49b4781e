"""Between the wire and the domain: `TtsService`."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from ensemble.core.errors import (
    EngineUnavailableError,
    InvalidArgumentError,
    TooManyStreamsError,
    UnsupportedAudioFormatError,
    WrongFirstMessageError,
)
from ensemble.tts.ports import Voice
from ensemble.tts.speech_engine import SpeechEngine
from ensemble.tts.synthesis import Synthesis
from ensemble.tts.synthesize_stream import Request, Response, SynthesizeStream
from ensemble.tts.voices import choose_voice
from ensemble.v1 import tts_service_pb2, tts_service_pb2_grpc

_FIRST_MESSAGE_TIMEOUT = 10.0
_LOWEST_RATE, _HIGHEST_RATE = 8_000, 192_000
_DEFAULT_PAGE = 100
_MAX_PAGE = 1000


class TtsServicer(tts_service_pb2_grpc.TtsServiceServicer):
    """Serves `TtsService` with one engine.

    Args:
        engine: Gives the engine, None while there is none.
        max_streams: Syntheses that may be open at once.
    """

    def __init__(self, engine: Callable[[], SpeechEngine | None], max_streams: int) -> None:
        self._engine = engine
        self._max_streams = max_streams
        self._open = 0

    async def Synthesize(
        self, request_iterator: AsyncIterator[Request], context: Any
    ) -> AsyncIterator[Response]:
        """Speak a stream of text; the contract has the state machine."""
        if self._open >= self._max_streams:
            raise TooManyStreamsError
        self._open += 1
        try:
            engine = self._loaded()
            first = await _first_message(request_iterator)
            stream = SynthesizeStream(request_iterator, first, await _open(engine, first.start))
            try:
                async with aclosing(stream.responses(engine)) as responses:
                    async for response in responses:
                        yield response
            finally:
                await stream.close()
        finally:
            self._open -= 1

    async def ListVoices(
        self, request: tts_service_pb2.ListVoicesRequest, context: Any
    ) -> tts_service_pb2.ListVoicesResponse:
        """List the voices, the default first."""
        voices = self._loaded().voices
        size = min(request.page_size or _DEFAULT_PAGE, _MAX_PAGE)
        start = _page_start(request.page_token, voices)
        response = tts_service_pb2.ListVoicesResponse(
            voices=[
                tts_service_pb2.Voice(
                    name=voice.name,
                    engine=voice.engine,
                    language=voice.language,
                    sample_rate_hertz=voice.sample_rate,
                )
                for voice in voices[start : start + size]
            ]
        )
        if start + size < len(voices):
            last = voices[start + size - 1].name
            response.next_page_token = base64.urlsafe_b64encode(last.encode()).decode()
        return response

    def _loaded(self) -> SpeechEngine:
        engine = self._engine()
        if engine is None:
            raise EngineUnavailableError
        return engine


async def _first_message(requests: AsyncIterator[Request]) -> Request:
    try:
        async with asyncio.timeout(_FIRST_MESSAGE_TIMEOUT):
            first = await anext(aiter(requests))
    except (StopAsyncIteration, TimeoutError):
        raise WrongFirstMessageError from None
    if first.WhichOneof("event") != "start":
        raise WrongFirstMessageError
    return first


async def _open(engine: SpeechEngine, start: tts_service_pb2.SynthesizeStart) -> Synthesis:
    if not 0 <= start.rate <= 4:
        raise InvalidArgumentError(violations={"start.rate": "must be from 0 to 4"})
    voice = await choose_voice(engine, start.voice, start.language)
    sample_rate = start.sample_rate_hertz or voice.sample_rate
    if not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
        raise UnsupportedAudioFormatError(
            f"The sample rate must be from {_LOWEST_RATE} to {_HIGHEST_RATE} hertz.",
            metadata={"sampleRateHertz": str(sample_rate)},
        )
    return Synthesis(
        engine,
        voice,
        rate=start.rate or 1.0,
        sample_rate=sample_rate,
        initial_credit=start.initial_credit,
    )


def _page_start(token: str, voices: Sequence[Voice]) -> int:
    """Return the index after the voice that ``token`` names."""
    if not token:
        return 0
    try:
        last = base64.urlsafe_b64decode(token.encode()).decode()
        return [voice.name for voice in voices].index(last) + 1
    except (binascii.Error, ValueError):
        raise InvalidArgumentError(
            "The page token is not one of this list.", violations={"page_token": "unknown"}
        ) from None
