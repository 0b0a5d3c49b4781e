"""A synthesiser that makes tones: one frame for so many letters."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EnsembleError
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import common_pb2, tts_service_pb2, tts_service_pb2_grpc

Event = tts_service_pb2.SynthesizeResponse


class ScriptedTts(tts_service_pb2_grpc.TtsServiceServicer):
    """Speaks each word as whole frames of 20 ms with the word as their span.

    Args:
        frames_a_word: How long a word is.
        fail_after: Fail with ``error`` after so many frames; None never.

    Attributes:
        texts: What each call was given, whole.
        frames: Frames made, by call.
        cancelled: Calls that were cancelled in band.
    """

    def __init__(self, frames_a_word: int = 5, fail_after: int | None = None) -> None:
        self.frames_a_word = frames_a_word
        self.fail_after = fail_after
        self.error = EnsembleError()
        self.first_s = 0.0
        self.texts: list[str] = []
        self.frames: list[int] = []
        self.cancelled = 0
        self.granularity = tts_service_pb2.SPAN_GRANULARITY_WORD

    async def Synthesize(self, request_iterator: Any, context: Any) -> AsyncIterator[Event]:
        inbox: Inbox[tts_service_pb2.SynthesizeRequest] = Inbox(request_iterator)
        start = await inbox.start()
        call = len(self.texts)
        self.texts.append("")
        self.frames.append(0)
        try:
            events = with_heartbeats(self._speak(call, start, inbox), heartbeat(Event))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            self.cancelled += inbox.cancelled.is_set()
            await inbox.close()

    async def ListVoices(self, request: Any, context: Any) -> tts_service_pb2.ListVoicesResponse:
        return tts_service_pb2.ListVoicesResponse(voices=[{"name": "tone", "engine": "script"}])

    async def _speak(
        self,
        call: int,
        start: tts_service_pb2.SynthesizeStart,
        inbox: Inbox[tts_service_pb2.SynthesizeRequest],
    ) -> AsyncIterator[Event]:
        rate = start.sample_rate_hertz or 16000
        yield Event(
            started={
                "engine": "script",
                "voice": "tone",
                "format": {"encoding": 1, "sample_rate_hertz": rate, "channel_count": 1},
                "granularity": self.granularity,
            }
        )
        await asyncio.sleep(self.first_s)
        credit = CreditWindow(start.initial_credit)
        words: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
        taking = asyncio.create_task(self._take(call, inbox, credit, words))
        frame, offset = rate // 50, 0
        try:
            while (word := await words.get()) is not None:
                for _ in range(self.frames_a_word):
                    await credit.take()
                    if inbox.cancelled.is_set():
                        break
                    if self.fail_after is not None and self.frames[call] >= self.fail_after:
                        raise self.error
                    self.frames[call] += 1
                    yield Event(
                        audio={
                            "pcm": b"\x10\x00" * frame,
                            "offset_samples": offset,
                            "span": {"start": word[0], "end": word[1]},
                        }
                    )
                    offset += frame
                if inbox.cancelled.is_set():
                    break
        finally:
            taking.cancel()
            await asyncio.wait({taking})
        reason = common_pb2.STOP_REASON_COMPLETED
        if inbox.cancelled.is_set():
            reason = common_pb2.STOP_REASON_CANCELLED
        yield Event(done={"stop_reason": reason, "samples_sent": offset})

    async def _take(
        self,
        call: int,
        inbox: Inbox[tts_service_pb2.SynthesizeRequest],
        credit: CreditWindow,
        words: "asyncio.Queue[tuple[int, int] | None]",
    ) -> None:
        spoken = 0

        def cut(everything: bool) -> None:
            nonlocal spoken
            text = self.texts[call]
            for match in re.finditer(r"\S+", text):
                if match.start() >= spoken and (everything or match.end() < len(text)):
                    words.put_nowait((match.start(), match.end()))
                    spoken = match.end()

        while (request := await inbox.get()) is not None:
            match request.WhichOneof("event"):
                case "text":
                    self.texts[call] += request.text.text
                    cut(False)
                case "credit":
                    credit.grant(request.credit.events)
                case "input_end":
                    cut(True)
                    words.put_nowait(None)
        cut(not inbox.cancelled.is_set())
        credit.grant(1_000_000)
        words.put_nowait(None)
