"""One response, from its start to its end in the record."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError
from ensemble.core.ids import new_id
from ensemble.orchestrator.conversation import Answer, Conversation
from ensemble.orchestrator.phases import Phase, PhaseMachine
from ensemble.orchestrator.ports import LanguageModel, Recognizer, Synthesizer
from ensemble.orchestrator.record import OPEN, Recorder
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.tool_runner import ToolBox, ToolRunner
from ensemble.orchestrator.usage import Account
from ensemble.orchestrator.voice import Voice
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, session_events_pb2, session_pb2, tool_pb2, tts_service_pb2

_LOG = structlog.get_logger()

_ACCOUNT_S: Final = 0.01
"""How long an answer that is cut off waits to learn what its last call used: whoever cut it off
waits as long for the next one. What is told later is left out."""


@dataclass(frozen=True, slots=True)
class Peers:
    """What every conversation uses."""

    model: LanguageModel
    toolbox: ToolBox
    recognizer: Recognizer
    synthesizer: Synthesizer


@dataclass(frozen=True, slots=True)
class Stage:
    """What a response needs of its session.

    Attributes:
        send: Sends an event outside the record; waits for room, and for nothing when
            nobody is attached.
        post: Sends one without waiting.
        flush: Has the client drop speech of a response that it has not played.
        reports: Whether the client that is, or was, attached reports what it plays.
    """

    conversation: Conversation
    recorder: Recorder
    phases: PhaseMachine
    peers: Peers
    settings: OrchestratorSettings
    send: Callable[[session_events_pb2.ServerEvent], Awaitable[bool]]
    flush: Callable[[str], None]
    reports: Callable[[], bool] = lambda: False

    @property
    def config(self) -> session_pb2.SessionConfig:
        """How the session talks and listens."""
        return self.conversation.config

    @property
    def session_id(self) -> str:
        """Which session."""
        return self.conversation.session.session_id


@dataclass(slots=True)
class Verdict:
    """How the content of a response ended."""

    stop_reason: common_pb2.StopReason = common_pb2.STOP_REASON_COMPLETED
    outcome: common_pb2.Outcome = common_pb2.OUTCOME_ANSWERED


Script = Callable[["Response"], Awaitable[Verdict]]
"""Makes the content of a response: calls ``say`` with its text."""


class Response:
    """One response. Its end is in the record before ``done`` is.

    Args:
        stage: Its session.
        script: Makes its content.
        turn_id: Turn that it answers; empty for what is said unasked.
        begun: The answer as an earlier process left it, to be carried on.
        renewable: Should no model be able to finish it, another one begins in its place.

    Attributes:
        account: What it has used.
    """

    def __init__(
        self,
        stage: Stage,
        script: Script,
        *,
        turn_id: str,
        begun: Answer | None = None,
        renewable: bool = False,
    ) -> None:
        self.response_id = begun.response_id if begun else new_id("resp")
        self.turn_id = turn_id
        self.text = begun.text if begun else ""
        self.stage = stage
        self._script = script
        self._renewable = renewable
        self._stopped: common_pb2.StopReason | None = None
        self._aborted: EnsembleError | None = None
        self._text_said = begun is not None and begun.complete
        self._settling = False
        self._work: asyncio.Task[Verdict] | None = None
        self._voice = self._make_voice()
        self.account = Account()
        self.tools: ToolRunner | None = None
        if begun is None:
            started = session_events_pb2.ResponseStarted(
                response_id=self.response_id, turn_id=turn_id
            )
            self.record(session_events_pb2.ServerEvent(response_started=started), mark=OPEN)
            return
        if not begun.complete:
            self.record_loss()
        if self._voice is not None and self.text:
            # It is made once more from its beginning; the client says how far it has heard it.
            self._voice.say(self.text)

    def _make_voice(self) -> Voice | None:
        config, settings = self.stage.config, self.stage.settings
        if not config.HasField("output_audio"):
            return None
        rate = config.output_audio.sample_rate_hertz
        start = tts_service_pb2.SynthesizeStart(
            context=self.context(),
            voice=config.voice,
            language=config.language,
            sample_rate_hertz=rate,
        )
        return Voice(
            self.stage.peers.synthesizer,
            start,
            rate=rate,
            lead_s=settings.playback_lead_ms / 1000,
            send=self.stage.send,
            on_error=self.complain,
            reports=self.stage.reports,
            patience_s=settings.peer_wait_s,
        )

    def context(self) -> common_pb2.CallContext:
        """Return what calls for this response say about themselves."""
        return common_pb2.CallContext(
            session_id=self.stage.session_id,
            response_id=self.response_id,
            attempt=1,
            purpose=common_pb2.PURPOSE_TURN,
            budget_id=self.stage.config.budget_id,
        )

    def record(
        self,
        event: session_events_pb2.ServerEvent,
        *,
        mark: str | None = None,
        urgent: bool = True,
    ) -> None:
        """Have ``event`` committed, then sent; one that is not urgent goes with the next."""
        self.stage.recorder.add(event, mark=mark, urgent=urgent)

    def record_loss(self) -> None:
        """Have it in the record that what was under way is made again: once, and no third time."""
        resumed = session_events_pb2.ResponseResumed(response_id=self.response_id)
        self.record(session_events_pb2.ServerEvent(response_resumed=resumed))

    async def complain(self, error: EnsembleError) -> None:
        """Tell the client of a failure that the response survives."""
        await self.stage.send(session_events_pb2.ServerEvent(error=to_status(error)))

    async def say(self, text: str, tokens: int = 0) -> None:
        """Add text; waits while too much of it waits to be committed."""
        self.stage.phases.to(Phase.SPEAKING)
        self.text += text
        delta = session_events_pb2.ResponseTextDelta(
            response_id=self.response_id, text=text, token_count=tokens
        )
        self.record(session_events_pb2.ServerEvent(response_text_delta=delta))
        await self.stage.recorder.room()

    def committed(self, delta: session_events_pb2.ResponseTextDelta) -> None:
        """Text of it is durable: now it may be spoken."""
        if self._voice is not None and delta.response_id == self.response_id:
            self._voice.say(delta.text)

    def stop(self, reason: common_pb2.StopReason) -> None:
        """End it as soon as can be; the client drops speech that it has not played."""
        if self._stopped is None and self._aborted is None and not self._settling:
            self._stopped = reason
            if self.stage.phases.answering:
                self.stage.phases.to(Phase.INTERRUPTING)
            self._silence()

    def abort(self, error: EnsembleError) -> None:
        """End it without a record: there is nothing that it could be written to."""
        if self._aborted is None:
            self._aborted = error
            self._silence()

    def _silence(self) -> None:
        if self._voice is not None:
            self._voice.silence()
            if self._voice.has_sent:
                self.stage.flush(self.response_id)
        if self._work is not None:
            self._work.cancel()

    def report(self, played: int) -> None:
        """Take note of how much of its speech was played."""
        if self._voice is not None:
            self._voice.report(played)

    def pause(self) -> None:
        """Nobody is attached."""
        if self._voice is not None:
            self._voice.pause()

    def resume(self, played: int | None) -> None:
        """Somebody is attached again, who has heard so many samples."""
        if self._voice is not None:
            self._voice.resume(played)

    def answer_tool(self, result: tool_pb2.ToolResult) -> bool:
        """Take the result of a tool that the client runs; False when none is awaited."""
        return self.tools is not None and self.tools.answer(result)

    async def run(self) -> session_events_pb2.ResponseDone:
        """Carry it through to its end in the record.

        An end that ``begins_anew`` is committed together with the start of the other answer,
        which is to begin at once, so that there is none without the other.

        Raises:
            EnsembleError: It could not be recorded.
        """
        if self._stopped is None and self._aborted is None:
            self._work = asyncio.get_running_loop().create_task(self._carry_out())
            try:
                await asyncio.wait({self._work})
            finally:
                # Cancelled from outside, as when the process ends: the record stays open.
                self._work.cancel()
        self._settling = True
        try:
            if self._aborted is not None:
                raise self._aborted
            done = await self._settle()
        finally:
            # They know this response: nothing would be freed before a look for garbage.
            self._work = self._voice = self.tools = None
        cut = done.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
        done.begins_anew = cut and self._renewable and self._stopped is None
        event = session_events_pb2.ServerEvent(response_done=done)
        self.record(event, mark="", urgent=not done.begins_anew)
        if not done.begins_anew:
            await self.stage.recorder.flush()
        return done

    async def _carry_out(self) -> Verdict:
        speaking = asyncio.create_task(self._voice.run()) if self._voice else None
        try:
            verdict = await self._script(self)
            self._end_text()
            if self._voice and speaking:
                # The voice hears of text once it is committed, so of its end after that.
                await self.stage.recorder.flush()
                self._voice.finish()
                self.account.add(await speaking)
            return verdict
        finally:
            if speaking:
                speaking.cancel()
                await asyncio.wait({speaking})

    def _end_text(self) -> None:
        if self.text and not self._text_said:
            self._text_said = True
            done = session_events_pb2.ResponseTextDone(response_id=self.response_id, text=self.text)
            self.record(session_events_pb2.ServerEvent(response_text_done=done), urgent=False)

    async def _settle(self) -> session_events_pb2.ResponseDone:
        loop = asyncio.get_running_loop()
        account_due = loop.time() + _ACCOUNT_S
        done = session_events_pb2.ResponseDone(response_id=self.response_id)
        if self._stopped is not None:
            done.stop_reason = self._stopped
            self._end_text()
            done.heard.end = await self._heard(self.stage.settings.report_wait_ms / 1000)
        elif isinstance(verdict := self._verdict(), EnsembleError):
            done.stop_reason = common_pb2.STOP_REASON_FAILED
            done.error.CopyFrom(to_status(verdict))
            self._end_text()
            done.heard.end = await self._heard(0)
        else:
            done.stop_reason = verdict.stop_reason
            done.outcome = verdict.outcome
            done.heard.end = len(self.text)
        await self.account.settled(account_due - loop.time())
        done.usage.CopyFrom(self.account.total)
        return done

    def _verdict(self) -> Verdict | EnsembleError:
        if self._work is None or self._work.cancelled():
            return EnsembleError()
        error = self._work.exception()
        if error is None:
            return self._work.result()
        if isinstance(error, EnsembleError):
            return error
        _LOG.error("response_failed", response_id=self.response_id, exc_info=error)
        return EnsembleError()

    async def _heard(self, wait_s: float) -> int:
        if self._voice is None:
            return len(self.text)
        return await self._voice.heard(wait_s)
