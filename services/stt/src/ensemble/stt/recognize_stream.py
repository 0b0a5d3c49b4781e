"""One call of ``Recognize``, between the messages on the wire and the recognition."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import aclosing
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EnsembleError, UnexpectedMessageError
from ensemble.core.ids import new_id
from ensemble.stt.recognition import (
    Event,
    Failed,
    Recognised,
    Recognition,
    SpeechEnded,
    SpeechStarted,
    TextSoFar,
)
from ensemble.transport.heartbeat import WatchedCaller, with_heartbeats
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, stt_service_pb2

Request = stt_service_pb2.RecognizeRequest
Response = stt_service_pb2.RecognizeResponse

_AHEAD: Final = 8
"""Messages read ahead of the work; the caller waits for the rest."""

_SLICE: Final = 16_384
"""Bytes worked on between two looks at what else there is to do."""


class RecognizeStream:
    """One call after its start.

    Args:
        requests: What the caller sends after ``first``.
        first: The start.
        recognition: Listens; closed with the stream.
        workers: Threads on which it listens.
        engine: Name of the engine.
        vad: Name of the voice detection; empty with manual detection.
    """

    def __init__(
        self,
        requests: AsyncIterator[Request],
        first: Request,
        recognition: Recognition,
        workers: Executor,
        *,
        engine: str,
        vad: str,
    ) -> None:
        self._caller = WatchedCaller(requests, _is_heartbeat)
        self._first = first
        self._recognition = recognition
        self._workers = workers
        self._engine, self._vad = engine, vad
        self._interim = first.start.interim_results
        self._credit = CreditWindow(first.start.initial_credit)
        self._waiting: asyncio.Queue[Request | None] = asyncio.Queue(_AHEAD)
        self._job: Future[Event | None] | None = None
        self._id = new_id("rec")
        self._numbers = itertools.count(1)
        self._cause = ""
        self._cancelled = False
        self._leaving = False
        self._failure: BaseException | None = None
        self._reader = asyncio.create_task(self._read(), name="stt-requests")

    def leave(self) -> None:
        """End the call as soon as no utterance is under way."""
        self._leaving = True
        if self._waiting.empty():
            self._waiting.put_nowait(None)

    async def responses(self) -> AsyncGenerator[Response, None]:
        """Draw everything that is to be sent, heartbeats included."""
        async with aclosing(with_heartbeats(self._events(), _heartbeat)) as beating:
            async for response in beating:
                yield response

    async def close(self) -> None:
        """Stop, and free what the call holds."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        if self._job is not None:
            # Threads cannot be stopped; a slice is done in milliseconds.
            await asyncio.wait([asyncio.wrap_future(self._job)])
        await asyncio.get_running_loop().run_in_executor(self._workers, self._recognition.close)

    async def _read(self) -> None:
        """Take what needs no work at once, queue the rest."""
        try:
            async with aclosing(self._caller.requests()) as requests:
                async for request in requests:
                    match request.WhichOneof("event"):
                        case "start":
                            raise UnexpectedMessageError("The recognition is already open.")
                        case "credit":
                            self._credit.grant(request.credit.events)
                        case "cancel":
                            self._cause = request.event_id
                            self._cancel()
                            return
                        case "audio" | "input_end" | "input_clear":
                            await self._waiting.put(request)
            # Half-closed: finish what was heard. An empty request stands for the end.
            await self._waiting.put(Request())
        except Exception as error:
            self._failure = error
            self._cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)
        # Wakes a sender that waits for credit.
        self._credit.grant(1)

    async def _events(self) -> AsyncGenerator[Response, None]:
        started = self._response(self._first.event_id)
        started.started.engine, started.started.vad = self._engine, self._vad
        yield started
        reason = common_pb2.STOP_REASON_COMPLETED
        failed: EnsembleError | None = None
        try:
            async for response in self._heard():
                yield response
        except EnsembleError as error:
            if error is self._failure:
                raise
            # The audio itself cannot be read: nothing after it can be.
            failed, reason = error, common_pb2.STOP_REASON_FAILED
        if self._failure is not None:
            raise self._failure
        if failed is not None:
            response = self._response()
            response.error.CopyFrom(to_status(failed))
            yield response
        elif self._cancelled:
            reason = common_pb2.STOP_REASON_CANCELLED
        elif self._leaving:
            reason = common_pb2.STOP_REASON_INTERRUPTED
        yield self._done(reason)

    async def _heard(self) -> AsyncGenerator[Response, None]:
        while not self._cancelled:
            if self._leaving and not self._recognition.is_listening:
                return
            request = await self._waiting.get()
            if request is None:
                continue
            for work in self._work(request):
                async for event in self._run(work):
                    if isinstance(event, TextSoFar) and not self._interim:
                        continue
                    if not isinstance(event, Failed):
                        await self._credit.take()
                    if self._cancelled:
                        return
                    yield self._translate(event, request.event_id)
                if self._cancelled:
                    return
            if request.WhichOneof("event") is None:
                self._leaving = False
                return

    def _work(self, request: Request) -> Iterable[Callable[[], Iterator[Event]]]:
        recognition = self._recognition
        match request.WhichOneof("event"):
            case "audio":
                data = request.audio.data
                for first in range(0, max(1, len(data)), _SLICE):
                    piece = data[first : first + _SLICE]
                    yield lambda piece=piece: recognition.push(piece)  # type: ignore[misc]
            case "input_end":
                yield recognition.end
            case "input_clear":
                yield recognition.clear
            case _:
                yield recognition.finish

    async def _run(self, work: Callable[[], Iterator[Event]]) -> AsyncIterator[Event]:
        """Draw the events of ``work`` on a thread, one by one: each is sent as it arises."""
        events = work()
        while True:
            self._job = self._workers.submit(next, events, None)
            event = await asyncio.wrap_future(self._job)
            if event is None:
                return
            yield event

    def _translate(self, event: Event, cause: str) -> Response:
        response = self._response(cause)
        match event:
            case SpeechStarted(offset):
                response.speech_started.offset_samples = offset
            case SpeechEnded(offset):
                response.speech_ended.offset_samples = offset
            case TextSoFar(text):
                response.transcript_delta.text = text
            case Failed(error):
                response.error.CopyFrom(to_status(error))
            case Recognised(transcript, start, end):
                done = response.transcript_done
                done.text = transcript.text
                done.rejected = transcript.rejected
                if transcript.confidence is not None:
                    done.confidence = transcript.confidence
                done.language = transcript.language
                done.start_samples, done.end_samples = start, end
                for word in transcript.words:
                    done.words.add(text=word.text, start_samples=word.start, end_samples=word.end)
        return response

    def _done(self, reason: common_pb2.StopReason) -> Response:
        response = self._response(self._cause)
        samples, rate = self._recognition.samples_read, self._recognition.rate
        response.done.stop_reason = reason
        response.done.samples_read = samples
        if rate:
            length = response.done.usage.audio_input
            length.FromNanoseconds(samples * 1_000_000_000 // rate)
        return response

    def _response(self, cause: str = "") -> Response:
        number = next(self._numbers)
        return Response(
            event_id=f"{self._id}.{number}",
            sequence=number,
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
