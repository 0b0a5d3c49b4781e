"""A synthesiser whose speech says in each frame which word it is of."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import UnsupportedAudioFormatError
from ensemble.runtime.service import Channels, Service
from ensemble.testkit.chaos.sound import OUTPUT_FRAME, OUTPUT_RATE, frame
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import common_pb2, tts_service_pb2, tts_service_pb2_grpc

Event = tts_service_pb2.SynthesizeResponse
Word = tuple[str, int, int]

FRAMES_A_WORD = 6


class SpeakingServicer(tts_service_pb2_grpc.TtsServiceServicer):
    """Speaks word by word, as soon as a word is complete."""

    async def Synthesize(self, request_iterator: Any, context: Any) -> AsyncIterator[Event]:
        inbox: Inbox[tts_service_pb2.SynthesizeRequest] = Inbox(request_iterator)
        start = await inbox.start()
        if start.sample_rate_hertz != OUTPUT_RATE:
            raise UnsupportedAudioFormatError
        try:
            events = with_heartbeats(self._speak(start, inbox), heartbeat(Event))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            await inbox.close()

    async def ListVoices(self, request: Any, context: Any) -> tts_service_pb2.ListVoicesResponse:
        return tts_service_pb2.ListVoicesResponse(voices=[{"name": "script", "engine": "script"}])

    async def _speak(
        self,
        start: tts_service_pb2.SynthesizeStart,
        inbox: Inbox[tts_service_pb2.SynthesizeRequest],
    ) -> AsyncIterator[Event]:
        yield Event(
            started={
                "engine": "script",
                "voice": "script",
                "format": {"encoding": 1, "sample_rate_hertz": OUTPUT_RATE, "channel_count": 1},
                "granularity": tts_service_pb2.SPAN_GRANULARITY_WORD,
            }
        )
        credit = CreditWindow(start.initial_credit)
        words: asyncio.Queue[Word | None] = asyncio.Queue()
        taking = asyncio.create_task(_cut(inbox, credit, words))
        offset = 0
        try:
            while not inbox.cancelled.is_set() and (said := await words.get()) is not None:
                word, begin, end = said
                for number in range(FRAMES_A_WORD):
                    await credit.take()
                    if inbox.cancelled.is_set():
                        break
                    yield Event(
                        audio={
                            "pcm": frame(word, number, FRAMES_A_WORD),
                            "offset_samples": offset,
                            "span": {"start": begin, "end": end},
                        }
                    )
                    offset += OUTPUT_FRAME
        finally:
            taking.cancel()
            await asyncio.wait({taking})
        reason = common_pb2.STOP_REASON_COMPLETED
        if inbox.cancelled.is_set():
            reason = common_pb2.STOP_REASON_CANCELLED
        yield Event(done={"stop_reason": reason, "samples_sent": offset})


async def _cut(
    inbox: Inbox[tts_service_pb2.SynthesizeRequest],
    credit: CreditWindow,
    words: "asyncio.Queue[Word | None]",
) -> None:
    """Cut the text into words; one is whole once something follows it."""
    text, spoken = "", 0

    def cut(everything: bool) -> None:
        nonlocal spoken
        for match in re.finditer(r"\S+", text):
            if match.start() >= spoken and (everything or match.end() < len(text)):
                words.put_nowait((match[0], match.start(), match.end()))
                spoken = match.end()

    while (request := await inbox.get()) is not None:
        match request.WhichOneof("event"):
            case "text":
                text += request.text.text
                cut(False)
            case "credit":
                credit.grant(request.credit.events)
            case "input_end":
                cut(True)
                words.put_nowait(None)
    # Nothing more is granted now: whoever still waits for credit goes on and ends.
    credit.grant(1_000_000)
    words.put_nowait(None)


class Speaking(Service):
    """The synthesiser as a host runs it."""

    name = "tts"

    def add_to(self, server: grpc.aio.Server) -> None:
        tts_service_pb2_grpc.add_TtsServiceServicer_to_server(SpeakingServicer(), server)


def build(channels: Channels) -> Service:
    """Return the service."""
    del channels
    return Speaking()
