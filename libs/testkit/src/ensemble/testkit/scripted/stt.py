"""A recogniser that hears sound where samples are not zero, and understands what a test says."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ensemble.core.errors import EnsembleError
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import common_pb2, stt_service_pb2, stt_service_pb2_grpc

Event = stt_service_pb2.RecognizeResponse

REJECTED = "\0rejected"
"""As a transcript: speech that is not understood."""


class ScriptedStt(stt_service_pb2_grpc.SttServiceServicer):
    """Gives its transcripts in order, one an utterance; then empty ones.

    Mono PCM_S16LE only. Speech begins with the first run that holds a sample other than zero
    and ends after ``end_silence_s`` of zeros.

    Attributes:
        fail_at: Fail once so many samples of one stream were read; cleared by doing so.
        opened: Streams so far.
        heard: Bytes read by each stream.
    """

    def __init__(self, *transcripts: str) -> None:
        self.transcripts: deque[str] = deque(transcripts)
        self.end_silence_s = 0.2
        self.fail_at: int | None = None
        self.error = EnsembleError()
        self.refuse = 0
        self.opened = 0
        self.starts: list[stt_service_pb2.RecognizeStart] = []
        self.heard: list[bytearray] = []

    async def Recognize(self, request_iterator: Any, context: Any) -> AsyncIterator[Event]:
        inbox: Inbox[stt_service_pb2.RecognizeRequest] = Inbox(request_iterator)
        start = await inbox.start()
        self.opened += 1
        self.starts.append(start)
        self.heard.append(bytearray())
        try:
            if self.refuse:
                self.refuse -= 1
                raise self.error
            listening = _Listening(self, start, self.heard[-1])
            events = with_heartbeats(listening.events(inbox), heartbeat(Event))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            await inbox.close()

    def understand(self) -> stt_service_pb2.TranscriptDone:
        text = self.transcripts.popleft() if self.transcripts else ""
        if text == REJECTED:
            return stt_service_pb2.TranscriptDone(rejected=True)
        return stt_service_pb2.TranscriptDone(text=text)


class _Listening:
    def __init__(
        self, stt: ScriptedStt, start: stt_service_pb2.RecognizeStart, heard: bytearray
    ) -> None:
        self._stt = stt
        self._start = start
        self._heard = heard
        self._manual = start.turn_detection == stt_service_pb2.TURN_DETECTION_MANUAL
        self._silence = int(stt.end_silence_s * start.format.sample_rate_hertz)
        self._read = 0
        self._began: int | None = None
        self._voiced = 0

    async def events(self, inbox: Inbox[stt_service_pb2.RecognizeRequest]) -> AsyncIterator[Event]:
        yield Event(started={"engine": "script", "vad": "" if self._manual else "zeros"})
        while (request := await inbox.get()) is not None:
            match request.WhichOneof("event"):
                case "audio":
                    for event in self._take(request.audio.data):
                        yield event
                case "input_end":
                    for event in self._end():
                        yield event
                case "input_clear":
                    self._began = None
            fail_at = self._stt.fail_at
            if fail_at is not None and self._read >= fail_at:
                self._stt.fail_at = None
                raise self._stt.error
        reason = common_pb2.STOP_REASON_CANCELLED
        if not inbox.cancelled.is_set():
            reason = common_pb2.STOP_REASON_COMPLETED
            for event in self._end():
                yield event
        yield Event(done={"stop_reason": reason, "samples_read": self._read})

    def _take(self, data: bytes) -> list[Event]:
        events = []
        self._heard += data
        first, self._read = self._read, self._read + len(data) // 2
        if data.strip(b"\0"):
            if self._began is None:
                self._began = first
                events.append(Event(speech_started={"offset_samples": first}))
            self._voiced = self._read
            if self._start.interim_results and self._stt.transcripts:
                text = self._stt.transcripts[0].split(" ")[0]
                events.append(Event(transcript_delta={"text": text}))
        elif (
            self._began is not None
            and not self._manual
            and self._read - self._voiced >= self._silence
        ):
            events += self._end()
        return events

    def _end(self) -> list[Event]:
        if self._began is None:
            return []
        done = self._stt.understand()
        done.start_samples, done.end_samples = self._began, self._read
        self._began = None
        return [
            Event(speech_ended={"offset_samples": self._voiced}),
            Event(transcript_done=done),
        ]
