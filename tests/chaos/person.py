"""A person who asks questions, typed or spoken, and keeps a record of all that comes back."""

import asyncio
import contextlib
import random
from collections.abc import Callable

from ensemble.client import Conversation, EnsembleClient
from ensemble.core.errors import EnsembleError
from ensemble.testkit.chaos.listening_servicer import END_SILENCE_S
from ensemble.testkit.chaos.script import Question
from ensemble.testkit.chaos.sound import INPUT_RATE, OUTPUT_RATE, say
from ensemble.v1 import common_pb2, session_events_pb2, session_pb2
from tests.chaos.player import Player
from tests.chaos.record import Record, ServerEvent

PATIENCE_S = 40.0
"""Seconds for which the client tries to take a lost stream up again."""

_ANSWER_S = 60.0
"""Seconds without the end of an answer after which the person gives up."""

_ANEW_S = 1.0
"""Seconds in which an answer that broke off may begin anew."""

_INTERRUPTS = 0.1
"""Share of spoken answers to which the person does not listen to the end."""

_GIVE_UP_S = 4.0
"""Seconds that an answer may take after an error, before the person asks the next thing."""

_RUN = INPUT_RATE // 25
_AGAIN_S = 0.3


class Person:
    """One client.

    Args:
        name: ``c<number>``, unique in a run.
        spoken: Speaks and listens; else types and reads.
        rng: Chooses the questions.
        changed: Told when the phase has changed.
    """

    def __init__(
        self, name: str, *, spoken: bool, rng: random.Random, changed: Callable[[], None]
    ) -> None:
        self.record = Record(name, spoken)
        self.phase = "idle"
        self._rng = rng
        self._changed = changed
        self._entered = ""
        self._answered_key = ""
        self._asking = ""
        self._turns: dict[str, str] = {}
        self._answers: dict[str, str] = {}
        self._ended: ServerEvent | None = None
        self._news = asyncio.Event()
        self._player: Player | None = None

    async def talk(self, client: EnsembleClient, stop: asyncio.Event, turns: int = 10_000) -> None:
        """Ask one question after the other until ``stop``, or so many."""
        while not stop.is_set() and len(self.record.asked) < turns:
            try:
                await self._converse(client, stop, turns)
            except EnsembleError as error:
                self.record.failures.append(error.reason)
                self._to("idle")
                await asyncio.sleep(_AGAIN_S)

    async def _converse(self, client: EnsembleClient, stop: asyncio.Event, turns: int) -> None:
        record = self.record
        resume = record.shown_until if record.session_id else None
        conversation = client.converse(
            session_id=record.session_id,
            config=None if record.session_id else self._config(),
            request_id=f"{record.client}-{id(self)}" if not record.session_id else "",
            resume_from_sequence=resume,
            playback=session_events_pb2.PlaybackReport() if record.spoken else None,
            patience=PATIENCE_S,
            on_gap=record.lost,
        )
        async with conversation:
            record.session_id = conversation.session_id
            self._player = Player(conversation, record)
            tasks = [asyncio.create_task(self._read(conversation))]
            if record.spoken:
                tasks.append(asyncio.create_task(self._player.run()))
            tasks.append(asyncio.create_task(self._ask_all(conversation, stop, turns)))
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_all(self, conversation: Conversation, stop: asyncio.Event, turns: int) -> None:
        if self.record.failures:
            await self._go_on(conversation)
        while not stop.is_set() and len(self.record.asked) < turns:
            number = len(self.record.asked) + 1
            question = Question(
                f"{self.record.client}q{number}",
                tool=self._rng.random() < 0.5,
                words=self._rng.randint(4, 10),
            )
            self.record.asked.append(question)
            await self._ask(conversation, question)
            await asyncio.sleep(self._rng.uniform(0.0, 0.1))
        if self.record.asked and self._ended is None:
            async with asyncio.timeout(_ANSWER_S):
                await self._answered()

    async def _go_on(self, conversation: Conversation) -> None:
        """Go on after an error that the client did not make good: as a person would do it."""
        last = conversation.started.session.last_sequence
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                while self.record.shown_until < last:
                    self._news.clear()
                    await self._news.wait()
        if not self.record.asked or self._answered_key == self.record.asked[-1].key:
            return
        question = self.record.asked[-1]
        if self._entered != question.text:
            await self._ask(conversation, question)
            return
        # It may go on by itself, or may have been given up; nobody waits for long.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_UP_S):
                await self._answered()

    async def _ask(self, conversation: Conversation, question: Question) -> None:
        self._ended, self._asking = None, question.text
        self._to("listening")
        if self.record.spoken:
            await self._speak(conversation, question.text)
        else:
            # A person types for a while; what a kill then hits is a session that waits.
            await asyncio.sleep(self._rng.uniform(0.05, 0.3))
            await conversation.send_text(question.text)
        try:
            async with asyncio.timeout(_ANSWER_S):
                if self.record.spoken and self._rng.random() < _INTERRUPTS:
                    await self._listened_for_a_while()
                    if self._ended is None:
                        self.record.interrupted.add(question.key)
                else:
                    await self._answered()
        except TimeoutError:
            self.record.faults.append(f"{question.key}: no end of the answer in {_ANSWER_S:g} s")
        self._answered_key = question.key
        self._to("idle")

    async def _speak(self, conversation: Conversation, text: str) -> None:
        silence = bytes(2 * int(1.5 * END_SILENCE_S * INPUT_RATE))
        pcm = say(text) + silence
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, at in enumerate(range(0, len(pcm), 2 * _RUN)):
            run = pcm[at : at + 2 * _RUN]
            await conversation.send_audio(run, samples=len(run) // 2)
            await asyncio.sleep(max(0.0, begin + (number + 1) / 25 - loop.time()))

    async def _listened_for_a_while(self) -> None:
        """Wait for some of the answer; the person then speaks on, whatever is still being said."""
        while self.phase != "speaking" and self._ended is None:
            self._news.clear()
            await self._news.wait()
        await asyncio.sleep(self._rng.uniform(0.1, 0.6))

    async def _answered(self) -> None:
        """Wait for the end of the answer, also where it breaks off and begins anew."""
        while True:
            while self._ended is None:
                self._news.clear()
                await self._news.wait()
            done = self._ended.response_done
            if done.stop_reason == common_pb2.STOP_REASON_COMPLETED:
                break
            self._news.clear()
            try:
                async with asyncio.timeout(_ANEW_S):
                    while self._ended is not None:
                        self._news.clear()
                        await self._news.wait()
            except TimeoutError:
                break
        while self._player is not None and self.record.spoken and self._player.playing:
            await asyncio.sleep(0.02)

    async def _read(self, conversation: Conversation) -> None:
        async for event in conversation:
            self.record.show(event)
            await self._take(event)
            self._news.set()

    async def _take(self, event: ServerEvent) -> None:
        assert self._player is not None
        match event.WhichOneof("event"):
            case "input_committed":
                self._entered = event.input_committed.text
                self._turns[event.input_committed.turn_id] = self._entered
                self._to("model")
            case "response_started":
                asked = self._turns.get(event.response_started.turn_id, "")
                self._answers[event.response_started.response_id] = asked
                if asked == self._asking:
                    self._ended = None
                self._to("model")
            case "response_tool_call":
                self._to("tool")
            case "response_tool_done":
                self._to("model")
            case "response_text_delta":
                if self.phase != "speaking":
                    self._to("commit")
            case "response_audio_delta":
                self._player.add(event.response_audio_delta)
                self._to("speaking")
            case "response_audio_done":
                self._player.complete(event.response_audio_done.response_id)
            case "playback_flush":
                await self._player.flush(event.playback_flush.response_id)
            case "response_done":
                self._player.complete(event.response_done.response_id)
                if self._answers.get(event.response_done.response_id) == self._asking:
                    self._ended = event
                self._to("idle")

    def _to(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self._changed()

    def _config(self) -> session_pb2.SessionConfig:
        config = session_pb2.SessionConfig()
        if self.record.spoken:
            pcm = common_pb2.AUDIO_ENCODING_PCM_S16LE
            config.input_audio.encoding = pcm
            config.input_audio.sample_rate_hertz = INPUT_RATE
            config.input_audio.channel_count = 1
            config.output_audio.encoding = pcm
            config.output_audio.sample_rate_hertz = OUTPUT_RATE
            config.output_audio.channel_count = 1
        return config
