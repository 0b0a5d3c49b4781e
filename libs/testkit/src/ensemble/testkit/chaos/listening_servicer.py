"""A recogniser that reads back what ``sound.say`` encodes."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from ensemble.runtime.service import Channels, Service
from ensemble.testkit.chaos.sound import INPUT_RATE, understand
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import common_pb2, stt_service_pb2, stt_service_pb2_grpc

Event = stt_service_pb2.RecognizeResponse

END_SILENCE_S = 0.2
"""Zeros after which an utterance is over."""


class ListeningServicer(stt_service_pb2_grpc.SttServiceServicer):
    """Hears speech where samples are not zero. It keeps nothing between two streams."""

    async def Recognize(self, request_iterator: Any, context: Any) -> AsyncIterator[Event]:
        inbox: Inbox[stt_service_pb2.RecognizeRequest] = Inbox(request_iterator)
        await inbox.start()
        try:
            events = with_heartbeats(_Utterances().events(inbox), heartbeat(Event))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            await inbox.close()


class _Utterances:
    def __init__(self) -> None:
        self._read = 0
        self._began: int | None = None
        self._voiced = 0
        self._pcm = bytearray()

    async def events(self, inbox: Inbox[stt_service_pb2.RecognizeRequest]) -> AsyncIterator[Event]:
        yield Event(started={"engine": "script", "vad": "zeros"})
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
                    self._pcm.clear()
        reason = common_pb2.STOP_REASON_CANCELLED
        if not inbox.cancelled.is_set():
            reason = common_pb2.STOP_REASON_COMPLETED
            for event in self._end():
                yield event
        yield Event(done={"stop_reason": reason, "samples_read": self._read})

    def _take(self, data: bytes) -> list[Event]:
        events = []
        first, self._read = self._read, self._read + len(data) // 2
        voiced = bool(data.strip(b"\0"))
        if voiced and self._began is None:
            self._began = first
            events.append(Event(speech_started={"offset_samples": first}))
        if self._began is not None:
            self._pcm += data
            if voiced:
                self._voiced = self._read
            elif self._read - self._voiced >= END_SILENCE_S * INPUT_RATE:
                events += self._end()
        return events

    def _end(self) -> list[Event]:
        if self._began is None:
            return []
        done = stt_service_pb2.TranscriptDone(
            text=understand(bytes(self._pcm)),
            start_samples=self._began,
            end_samples=self._read,
        )
        self._began = None
        self._pcm.clear()
        return [Event(speech_ended={"offset_samples": self._voiced}), Event(transcript_done=done)]


class Listening(Service):
    """The recogniser as a host runs it."""

    name = "stt"

    def add_to(self, server: grpc.aio.Server) -> None:
        stt_service_pb2_grpc.add_SttServiceServicer_to_server(ListeningServicer(), server)


def build(channels: Channels) -> Service:
    """Return the service."""
    del channels
    return Listening()
