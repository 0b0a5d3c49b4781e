"""One call of `Synthesize`, between the messages on the wire and the synthesis."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from google.protobuf.timestamp_pb2 import Timestamp

from ensemble.core.errors import UnexpectedMessageError
from ensemble.core.ids import new_id
from ensemble.transport.heartbeat import WatchedCaller, with_heartbeats
from ensemble.transport.status import to_status
from ensemble.tts.ports import Granularity
from ensemble.tts.speech_engine import SpeechEngine
from ensemble.tts.synthesis import ClauseFailed, ClauseSpoken, Event, Finished, Spoken, Synthesis
from ensemble.v1 import common_pb2, tts_service_pb2

_GRANULARITY = {
    Granularity.WORD: tts_service_pb2.SPAN_GRANULARITY_WORD,
    Granularity.CLAUSE: tts_service_pb2.SPAN_GRANULARITY_CLAUSE,
}

Request = tts_service_pb2.SynthesizeRequest
Response = tts_service_pb2.SynthesizeResponse


class SynthesizeStream:
    """One call after its start: reads what comes, gives what is to be sent.

    Args:
        requests: What the caller sends after ``first``.
        first: The start.
        synthesis: Speaks; closed with the stream.
    """

    def __init__(
        self, requests: AsyncIterator[Request], first: Request, synthesis: Synthesis
    ) -> None:
        self._caller = WatchedCaller(requests, _is_heartbeat)
        self._start = first
        self._synthesis = synthesis
        self._id = new_id("syn")
        self._sequence = itertools.count(1)
        self._cause = ""
        self._reader = asyncio.create_task(self._read(), name="tts-requests")

    async def responses(self, engine: SpeechEngine) -> AsyncGenerator[Response, None]:
        """Draw everything that is to be sent, heartbeats included."""
        async with aclosing(with_heartbeats(self._events(engine), _heartbeat)) as beating:
            async for response in beating:
                yield response
                if not response.HasField("heartbeat"):
                    self._caller.took()

    async def close(self) -> None:
        """Stop reading and speaking."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._synthesis.close()

    async def _events(self, engine: SpeechEngine) -> AsyncGenerator[Response, None]:
        yield self._started(engine)
        event: Event | None = None
        while not isinstance(event, Finished):
            event = await self._synthesis.next()
            yield self._translate(event)

    def _started(self, engine: SpeechEngine) -> Response:
        response = self._response(self._start.event_id)
        response.started.engine = engine.name
        response.started.voice = self._synthesis.voice.name
        response.started.format.encoding = common_pb2.AUDIO_ENCODING_PCM_S16LE
        response.started.format.sample_rate_hertz = self._synthesis.sample_rate
        response.started.format.channel_count = 1
        response.started.granularity = _GRANULARITY[engine.granularity]
        return response

    async def _read(self) -> None:
        try:
            async with aclosing(self._caller.requests()) as requests:
                async for request in requests:
                    await self._accept(request)
        except Exception as error:
            self._synthesis.fail(error)
        else:
            if not self._synthesis.ended:
                self._synthesis.end()

    async def _accept(self, request: Request) -> None:
        match request.WhichOneof("event"):
            case "start":
                raise UnexpectedMessageError("The synthesis is already open.")
            case "text":
                self._still_open()
                await self._synthesis.feed(request.text.text)
            case "flush":
                self._still_open()
                self._synthesis.flush()
            case "input_end":
                self._still_open()
                self._cause = request.event_id
                self._synthesis.end()
            case "credit":
                self._synthesis.grant(request.credit.events)
            case "cancel":
                self._cause = request.event_id
                self._synthesis.cancel()

    def _still_open(self) -> None:
        if self._synthesis.ended:
            raise UnexpectedMessageError("No text may follow the end of the input.")

    def _translate(self, event: Event) -> Response:
        match event:
            case Spoken(frame, offset):
                response = self._response()
                response.audio.pcm = frame.pcm
                response.audio.offset_samples = offset
                response.audio.span.start = frame.start
                response.audio.span.end = frame.end
            case ClauseSpoken(start, end, offset):
                response = self._response()
                response.clause_done.span.start = start
                response.clause_done.span.end = end
                response.clause_done.offset_samples = offset
            case ClauseFailed(error=error):
                response = self._response()
                response.error.CopyFrom(to_status(error))
            case Finished(cancelled, samples):
                response = self._response(self._cause)
                response.done.stop_reason = (
                    common_pb2.STOP_REASON_CANCELLED
                    if cancelled
                    else common_pb2.STOP_REASON_COMPLETED
                )
                response.done.samples_sent = samples
                length = response.done.usage.audio_output
                length.FromNanoseconds(samples * 1_000_000_000 // self._synthesis.sample_rate)
        return response

    def _response(self, cause: str = "") -> Response:
        sequence = next(self._sequence)
        return Response(
            event_id=f"{self._id}.{sequence}",
            sequence=sequence,
            created_at=_now(),
            caused_by_event_id=cause,
        )


def _is_heartbeat(request: Request) -> bool:
    return request.HasField("heartbeat")


def _heartbeat() -> Response:
    return Response(heartbeat=common_pb2.Heartbeat(sent_at=_now()))


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
