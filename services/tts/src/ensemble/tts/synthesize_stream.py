"""One call of `Synthesize`, between the messages on the wire and the synthesis."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator

from google.protobuf.timestamp_pb2 import Timestamp

from ensemble.core.errors import PeerLostError, UnexpectedMessageError
from ensemble.core.ids import new_id
from ensemble.core.services import HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT
from ensemble.transport.status import to_status
from ensemble.tts.ports import Granularity
from ensemble.tts.speech_engine import SpeechEngine
from ensemble.tts.synthesis import ClauseFailed, ClauseSpoken, Event, Finished, Spoken, Synthesis
from ensemble.v1 import common_pb2, tts_service_pb2

_SILENT_BEATS = math.ceil(HEARTBEAT_TIMEOUT / HEARTBEAT_INTERVAL)
_MUTE_CALLER_BEATS = 300
"""How long a caller that never sends heartbeats may say and take nothing: a minute."""

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
        self._requests = requests
        self._start = first
        self._synthesis = synthesis
        self._id = new_id("syn")
        self._sequence = itertools.count(1)
        self._cause = ""
        self._beats = False
        self._silent_for = 0
        self._half_closed = False
        self.done = False
        self._reader = asyncio.create_task(self._read(), name="tts-requests")

    def started(self, engine: SpeechEngine) -> Response:
        """Return the first response."""
        response = self._response(self._start.event_id)
        response.started.engine = engine.name
        response.started.voice = self._synthesis.voice.name
        response.started.format.encoding = common_pb2.AUDIO_ENCODING_PCM_S16LE
        response.started.format.sample_rate_hertz = self._synthesis.sample_rate
        response.started.format.channel_count = 1
        response.started.granularity = _GRANULARITY[engine.granularity]
        return response

    async def next(self) -> Response:
        """Wait for the next response: an event, or a heartbeat when there is none."""
        try:
            async with asyncio.timeout(HEARTBEAT_INTERVAL):
                event = await self._synthesis.next()
        except TimeoutError:
            self._check_caller()
            return Response(heartbeat=common_pb2.Heartbeat(sent_at=_now()))
        if not self._beats:
            # A caller without heartbeats is known to live by what it takes.
            self._silent_for = 0
        return self._translate(event)

    async def close(self) -> None:
        """Stop reading and speaking."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._synthesis.close()

    async def _read(self) -> None:
        try:
            async for request in self._requests:
                self._silent_for = 0
                await self._accept(request)
        except Exception as error:
            self._synthesis.fail(error)
        else:
            self._half_closed = True
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
            case "heartbeat":
                self._beats = True

    def _still_open(self) -> None:
        if self._synthesis.ended:
            raise UnexpectedMessageError("No text may follow the end of the input.")

    def _check_caller(self) -> None:
        """Count a beat without a word from the caller; give up after too many.

        Beats are counted rather than seconds: a loop that was held up has missed both sides'.
        """
        if self._half_closed:
            return
        self._silent_for += 1
        # A caller that sends heartbeats keeps sending them; one that never does gets longer.
        strict = self._beats and not self._synthesis.ended
        if self._silent_for > (_SILENT_BEATS if strict else _MUTE_CALLER_BEATS):
            raise PeerLostError

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
                self.done = True
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


def _now() -> Timestamp:
    now = Timestamp()
    now.GetCurrentTime()
    return now
