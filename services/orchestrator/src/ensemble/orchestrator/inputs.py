"""What a session's client sends, and what is heard of it."""

import asyncio

from ensemble.core.errors import (
    EnsembleError,
    InvalidArgumentError,
    InvalidAudioError,
    UnexpectedMessageError,
)
from ensemble.eventlog import Append, StreamKey
from ensemble.orchestrator.input_audio import InputAudio
from ensemble.orchestrator.listener import Listener
from ensemble.orchestrator.outbox import Outbox
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.turns import Turn
from ensemble.v1 import common_pb2, session_events_pb2, stt_service_pb2


def accepted_key(session_id: str) -> StreamKey:
    """Return the log stream that says which silence of a session is safe."""
    return StreamKey("input", session_id)


class Inputs:
    """Takes in the events of whoever is attached. Implements ``Input`` and ``Hearing``.

    Args:
        session: Where turns go.
    """

    __slots__ = ("_config", "_listener", "_session", "_texts")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._config = session.conversation.config
        self._texts = session.conversation.accepted.text_items
        self._listener: Listener | None = None
        session.input = self

    async def handle(self, event: session_events_pb2.ClientEvent, outbox: Outbox) -> None:
        """Take in one event of the client behind ``outbox``.

        Raises:
            UnexpectedMessageError: A second start.
        """
        try:
            await self._handle(event, outbox)
        except (InvalidAudioError, InvalidArgumentError) as exc:
            await self._session.complain(exc, event.event_id)
        except UnexpectedMessageError as exc:
            if event.WhichOneof("event") == "start":
                raise
            await self._session.complain(exc, event.event_id)

    async def _handle(self, event: session_events_pb2.ClientEvent, outbox: Outbox) -> None:
        session = self._session
        match event.WhichOneof("event"):
            case "input_audio":
                await self._listening().take(event.input_audio)
            case "input_text":
                await self._take_text(event)
            case "input_end":
                self._listening().end()
            case "input_clear":
                self._listening().clear()
                session.heard_speech(False)
            case "response_create":
                session.create_response()
            case "response_cancel":
                cancelled = common_pb2.STOP_REASON_CANCELLED
                session.interrupt(cancelled, event.response_cancel.response_id)
            case "playback_report":
                session.report(event.playback_report)
            case "tool_result":
                if not session.answer_tool(event.tool_result):
                    raise UnexpectedMessageError("No result of this tool call is awaited.")
            case "credit":
                outbox.grant(event.credit.events)
            case "start":
                raise UnexpectedMessageError("A stream has one start.")

    async def finish(self) -> None:
        """The client sends nothing more: return once everything it asked is answered."""
        if self._listener is not None:
            await self._listener.finish()
        await self._session.quiet()

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.close()
        self._session.heard_speech(False)

    async def _take_text(self, event: session_events_pb2.ClientEvent) -> None:
        item = event.input_text.item
        if item and item <= self._texts:
            self._session.accepted()
            return
        self._texts = max(item, self._texts + 1)
        accepted = session_events_pb2.InputAccepted(
            samples=self._session.conversation.accepted.samples, text_items=self._texts
        )
        turn = Turn(
            text=event.input_text.text,
            respond=not self._config.manual_response,
            accepted=accepted,
            caused_by=event.event_id,
        )
        await self._session.turn_room()
        self._session.submit(turn)

    def submit_text(self, text: str) -> "asyncio.Future[session_events_pb2.ResponseDone]":
        """Take in a typed turn that is answered in any case; return how it will end."""
        self._texts += 1
        accepted = session_events_pb2.InputAccepted(
            samples=self._session.conversation.accepted.samples, text_items=self._texts
        )
        turn = Turn(text=text, accepted=accepted)
        turn.answered = asyncio.get_running_loop().create_future()
        self._session.submit(turn)
        return turn.answered

    # Input

    def accept(self, samples: int) -> None:
        """See ``Input.accept``."""
        if self._listener is not None:
            self._listener.accept(samples)

    # Hearing

    async def speech_started(self, offset: int) -> None:
        """See ``Hearing.speech_started``."""
        self._session.heard_speech(True)
        started = stt_service_pb2.SpeechStarted(offset_samples=offset)
        await self._session.send(session_events_pb2.ServerEvent(speech_started=started))

    async def speech_ended(self, offset: int) -> None:
        """See ``Hearing.speech_ended``."""
        ended = stt_service_pb2.SpeechEnded(offset_samples=offset)
        await self._session.send(session_events_pb2.ServerEvent(speech_ended=ended))

    async def transcript(self, text: str) -> None:
        """See ``Hearing.transcript``."""
        if self._config.interim_results:
            delta = stt_service_pb2.TranscriptDelta(text=text)
            await self._session.send(session_events_pb2.ServerEvent(transcript_delta=delta))

    async def understood(self, done: stt_service_pb2.TranscriptDone, end: int) -> None:
        """See ``Hearing.understood``."""
        text = done.text.strip()
        if not text and not done.rejected:
            self._session.heard_speech(False)
            await self.silence(end)
            return
        # The turn takes over from the speech, so that nothing unasked is said between them.
        turn = Turn(
            text="" if done.rejected else text,
            spoken=True,
            rejected=done.rejected,
            respond=not self._config.manual_response,
            accepted=session_events_pb2.InputAccepted(
                samples=end, text_items=self._session.conversation.accepted.text_items
            ),
        )
        await self._session.turn_room()
        self._session.submit(turn)
        self._session.heard_speech(False)

    async def silence(self, end: int) -> None:
        """See ``Hearing.silence``."""
        accepted = self._session.conversation.accepted
        if end <= accepted.samples:
            return
        note = session_events_pb2.InputAccepted(samples=end, text_items=accepted.text_items)
        key = accepted_key(self._session.session_id)
        try:
            accept = Append(key, "accepted", note.SerializeToString(), own=True)
            await self._session.log.append([accept], fence=self._session.fence)
        except EnsembleError as exc:
            await self._session.complain(exc)
            return
        accepted.samples = max(accepted.samples, end)
        self._session.accepted()

    async def failed(self, error: EnsembleError) -> None:
        """See ``Hearing.failed``."""
        self._session.heard_speech(False)
        await self._session.complain(error)

    def _listening(self) -> Listener:
        if self._listener is None:
            config, settings = self._config, self._session.settings
            if not config.HasField("input_audio"):
                raise UnexpectedMessageError("This session has no voice input.")
            accepted = self._session.conversation.accepted.samples
            self._listener = Listener(
                self._session.peers.recognizer,
                self._make_start,
                InputAudio(config.input_audio, accepted, settings.speech_limit_s),
                self,
                manual=config.turn_detection == stt_service_pb2.TURN_DETECTION_MANUAL,
                speech_limit_s=settings.speech_limit_s,
                spawn=self._session.spawn,
            )
        return self._listener

    async def _make_start(self) -> stt_service_pb2.RecognizeStart:
        config = self._config
        server_tools = await self._session.peers.toolbox.specs()
        return stt_service_pb2.RecognizeStart(
            context=common_pb2.CallContext(
                session_id=self._session.session_id,
                attempt=1,
                purpose=common_pb2.PURPOSE_TURN,
                budget_id=config.budget_id,
            ),
            format=config.input_audio,
            language=config.language,
            turn_detection=config.turn_detection,
            interim_results=config.interim_results,
            tools=[*config.client_tools, *server_tools],
        )
