"""One session as it lives: turns in, responses out, whoever is attached."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from ensemble.core.errors import (
    ConflictError,
    EnsembleError,
    FencedOffError,
    ResumeOutOfRangeError,
    ServiceUnavailableError,
    SessionBusyError,
    SessionMovedError,
    UnexpectedMessageError,
)
from ensemble.core.ids import new_id
from ensemble.eventlog import Append, EventLog
from ensemble.orchestrator.conversation import Answer, Conversation
from ensemble.orchestrator.model_turn import ModelTurn
from ensemble.orchestrator.outbox import Outbox
from ensemble.orchestrator.phases import Phase, PhaseMachine
from ensemble.orchestrator.record import OPEN, Recorder
from ensemble.orchestrator.response import Peers, Response, Script, Stage
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.stored import Reader
from ensemble.orchestrator.turns import Turn, closing, fixed_text
from ensemble.transport.context import PRINCIPAL_KEY, TENANT_KEY, deadline, trusted
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, model_router_service_pb2, session_events_pb2, tool_pb2

_LOG = structlog.get_logger()

_TURNS_LIMIT: Final = 16
"""Turns that wait before the client has to."""

_UNASKED_LIMIT: Final = 16
"""Texts that wait to be said unasked; the oldest give way."""


class Input(Protocol):
    """The side of a session that takes in what its client sends."""

    def accept(self, samples: int) -> None:
        """Audio up to ``samples`` is safe."""


class Session:
    """Runs one conversation. It lives on while nobody is attached.

    Args:
        conversation: Its state so far.
        owner: Whose it is, tenant and principal.
        log: Where its record is.
        peers: What it works with.
        settings: How it works.
        fence: Of the instance that holds it.
        on_broken: Told why its record cannot be gone on with from here; what is in memory may
            differ from it from then on.
    """

    def __init__(
        self,
        conversation: Conversation,
        owner: str,
        log: EventLog,
        peers: Peers,
        settings: OrchestratorSettings,
        *,
        fence: int,
        on_broken: Callable[["Session", EnsembleError], None],
    ) -> None:
        self.conversation = conversation
        self.owner = owner
        self.log = log
        self.settings = settings
        self.fence = fence
        self.phases = PhaseMachine()
        self.recorder = Recorder(
            log,
            conversation,
            fence,
            on_committed=self._on_committed,
            on_failed=self._on_failed,
        )
        self._on_broken = on_broken
        self.outbox: Outbox | None = None
        self.input: Input | None = None
        self.peers = peers
        self.stage = Stage(
            conversation=conversation,
            recorder=self.recorder,
            phases=self.phases,
            peers=peers,
            settings=settings,
            send=self.send,
            flush=self._flush_playback,
            reports=lambda: self._reports,
        )
        self._reports = False
        self.hears_speech = False
        self._context = contextvars.copy_context()
        self._context.run(deadline.set, None)
        # What is taken up before anybody attaches goes on in its owner's name.
        self._context.run(trusted.set, _claims(owner))
        self._tasks: set[asyncio.Task[Any]] = set()
        # Short and nearly always empty: lists, as an empty deque takes 760 bytes.
        self._turns: list[Turn] = []
        self._unasked: list[str] = []
        self._driving: asyncio.Task[None] | None = None
        self._live: Response | None = None
        self._living: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        """Which session."""
        return self.conversation.session.session_id

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way."""
        return self._driving is None and self._living is None and self.recorder.is_idle

    # Who is attached

    def attach(self, start: session_events_pb2.SessionStart) -> Outbox:
        """Make a client's stream the session's; another one ends with SESSION_TAKEN_OVER.

        Raises:
            ResumeOutOfRangeError: The sequence to resume from is past the record's end.
        """
        last = self.conversation.session.last_sequence
        after = last
        if start.HasField("resume_from_sequence"):
            after = start.resume_from_sequence
        if after > last:
            raise ResumeOutOfRangeError(
                f"The session stands at {last}; it cannot be resumed from {after}.",
                metadata={"last": str(last), "asked": str(after)},
            )
        if self.outbox is not None:
            self.outbox.end(SessionBusyError())
        self._context = contextvars.copy_context()
        self._context.run(deadline.set, None)
        self.outbox = Outbox(new_id("str"), self.read_record)
        self.outbox.replay(after, last)
        self._reports = self._reports or start.HasField("playback")
        if self._live is not None:
            playback = start.playback if start.HasField("playback") else None
            same = playback is not None and playback.response_id == self._live.response_id
            self._live.resume(playback.played_samples if playback and same else None)
        return self.outbox

    def detach(self, outbox: Outbox) -> bool:
        """Take note that a client's stream ended; False if another took its place."""
        outbox.end()
        if self.outbox is not outbox:
            return False
        self.outbox = None
        if self._live is not None:
            self._live.pause()
        return True

    async def send(self, event: session_events_pb2.ServerEvent) -> bool:
        """Send an event outside the record; waits for room. False when nobody gets it."""
        return self.outbox is not None and await self.outbox.put(event)

    def post(self, event: session_events_pb2.ServerEvent) -> None:
        """Send an event outside the record without waiting."""
        if self.outbox is not None:
            self.outbox.post(event)

    async def complain(self, error: EnsembleError, caused_by: str = "") -> None:
        """Tell the client of a failure that the stream survives."""
        await self.send(
            session_events_pb2.ServerEvent(error=to_status(error), caused_by_event_id=caused_by)
        )

    async def read_record(self, after: int, limit: int) -> list[session_events_pb2.ServerEvent]:
        """Return up to ``limit`` events of the record after sequence ``after``."""
        return await Reader(self.log, self.session_id).page(after, limit)

    # Turns and responses

    def submit(self, turn: Turn) -> None:
        """Take in a turn; whatever is being said gives way to it."""
        self._turns.append(turn)
        self._drive()

    async def tell(
        self, event: session_events_pb2.ServerEvent, also: Sequence[Append] = ()
    ) -> None:
        """Put an event into the record and return once it is there.

        Args:
            event: What to tell the client.
            also: Events of other streams, written in the same transaction.

        Raises:
            EnsembleError: It could not be written.
        """
        self.recorder.add(event, also=also)
        await self.recorder.flush()

    def say_unasked(self, text: str) -> None:
        """Say ``text`` when nothing else is being said."""
        self._unasked.append(text)
        del self._unasked[:-_UNASKED_LIMIT]
        self._drive()

    def interrupt(self, reason: common_pb2.StopReason, response_id: str = "") -> bool:
        """Stop what is being said; False when it is not (or not that response)."""
        if self._live is None or response_id not in ("", self._live.response_id):
            return False
        self._live.stop(reason)
        return True

    def create_response(self) -> None:
        """Answer what was said last.

        Raises:
            UnexpectedMessageError: There is nothing to answer, or it is being answered.
        """
        said = self.conversation.last_said
        if said is None or self._live is not None:
            raise UnexpectedMessageError("There is nothing to answer.")
        self.submit(Turn(text=said.text, turn_id=said.turn_id, recorded=True, respond=True))

    def report(self, report: session_events_pb2.PlaybackReport) -> None:
        """Take note of what was played."""
        self._reports = True
        if self._live is not None and report.response_id in ("", self._live.response_id):
            self._live.report(report.played_samples)

    def answer_tool(self, result: tool_pb2.ToolResult) -> bool:
        """Take the result of a client's tool; False when none is awaited."""
        return self._live is not None and self._live.answer_tool(result)

    def heard_speech(self, under_way: bool) -> None:
        """Somebody began or ceased to speak: an assistant that speaks gives way."""
        self.hears_speech = under_way
        if under_way and self._live is not None:
            if self.conversation.config.HasField("output_audio"):
                self._live.stop(common_pb2.STOP_REASON_INTERRUPTED)
        elif self._live is None:
            self.phases.to(Phase.LISTENING if under_way else Phase.IDLE)
            if not under_way:
                self._drive()

    async def turn_room(self) -> None:
        """Wait while many turns wait."""
        while len(self._turns) >= _TURNS_LIMIT and self._driving is not None:
            await asyncio.wait({self._driving})

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        while waiting := {task for task in (self._driving, self._living) if task is not None}:
            await asyncio.wait(waiting)
        if not self.recorder.is_idle:
            await self.recorder.flush()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task that ends with the session at the latest."""
        task = asyncio.get_running_loop().create_task(work, name=name, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel everything. What is open in the record is closed by the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.outbox is not None:
            self.outbox.end()

    def _drive(self) -> None:
        """Take what comes next; where an answer has to give way to it, once it has."""
        while self._driving is None and (self._turns or self._unasked):
            if self._living is not None:
                if self._turns:
                    self._driving = self.spawn(self._give_way(), "give-way")
                return
            if self._turns:
                self._take_turn(self._turns.pop(0))
            elif self.hears_speech:
                return
            else:
                self.begin(fixed_text(self._unasked.pop(0)), turn_id="")

    async def _give_way(self) -> None:
        try:
            if self._live is not None:
                self._live.stop(common_pb2.STOP_REASON_INTERRUPTED)
            if self._living is not None:
                await asyncio.wait({self._living})
        finally:
            self._driving = None
        self._drive()

    def _take_turn(self, turn: Turn) -> None:
        if (left := self.conversation.open_answer) is not None and turn.script is None:
            # Its end could not be written when it came to it.
            self.recorder.add(closing(left), mark="")
        if not turn.recorded:
            # What is to be answered is open from here on: a process that ends now owes an answer.
            self.recorder.add(turn.committed(), mark=OPEN if turn.respond else None)
        if not turn.respond:
            turn.finish(None)
            return
        script = turn.script
        if script is None and turn.rejected:
            script = fixed_text(self.settings.apology, common_pb2.OUTCOME_DECLINED)
        self.begin(script or ModelTurn(self._messages(turn)), turn_id=turn.turn_id, turn=turn)

    def _messages(self, turn: Turn) -> Sequence[model_router_service_pb2.ChatMessage]:
        messages = self.conversation.messages(
            self.settings.instructions, self.settings.history_messages
        )
        if not turn.recorded:
            user = model_router_service_pb2.ROLE_USER
            messages.append(model_router_service_pb2.ChatMessage(role=user, text=turn.text))
        return messages

    def begin(
        self,
        script: Script,
        *,
        turn_id: str,
        turn: Turn | None = None,
        begun: Answer | None = None,
    ) -> None:
        """Begin a response, or carry on with one that an earlier process began."""
        self._live = response = Response(
            self.stage,
            script,
            turn_id=turn_id,
            begun=begun,
            renewable=turn is not None and turn.script is None,
        )
        if self.outbox is None:
            response.pause()
        self._living = self.spawn(self._live_through(response, script, turn), "respond")

    async def _live_through(self, response: Response, script: Script, turn: Turn | None) -> None:
        error: EnsembleError = ServiceUnavailableError()
        done = None
        try:
            done = await response.run()
        except EnsembleError as exc:
            error = exc
        finally:
            self._live = None
            self._living = None
            self.phases.to(Phase.LISTENING if self.hears_speech else Phase.IDLE)
            if turn is not None:
                self._finish_turn(turn, script, done, error)
        self._drive()

    def _finish_turn(
        self,
        turn: Turn,
        script: Script,
        done: session_events_pb2.ResponseDone | None,
        error: EnsembleError,
    ) -> None:
        if done is not None and done.begins_anew:
            # No model could go on where another one failed: the answer begins anew, once.
            turn.script, turn.recorded = script, True
            self._turns.insert(0, turn)
        else:
            turn.finish(done, error)

    # What the recorder and the response tell

    def _on_committed(self, event: session_events_pb2.ServerEvent) -> None:
        self.conversation.apply(event)
        if self.outbox is not None:
            self.outbox.post(event)
        branch = event.WhichOneof("event")
        if branch == "response_text_delta" and self._live is not None:
            self._live.committed(event.response_text_delta)
        elif branch == "input_committed":
            self.accepted()

    def accepted(self) -> None:
        """Tell the client which of its input is safe."""
        accepted = session_events_pb2.InputAccepted()
        accepted.CopyFrom(self.conversation.accepted)
        if self.input is not None:
            self.input.accept(accepted.samples)
        self.post(session_events_pb2.ServerEvent(input_accepted=accepted))

    def _on_failed(self, cause: EnsembleError) -> None:
        _LOG.error("record_failed", session_id=self.session_id, reason=cause.reason)
        moved = isinstance(cause, FencedOffError | ConflictError)
        error = SessionMovedError() if moved else cause
        for turn in self._turns:
            turn.finish(None, error)
        self._turns.clear()
        if self._live is not None:
            self._live.abort(error)
        # What was sent is not safe: the client comes back and sends it again.
        self._on_broken(self, error)

    def _flush_playback(self, response_id: str) -> None:
        if self.outbox is not None:
            self.outbox.drop_audio(response_id)
            flush = session_events_pb2.PlaybackFlush(response_id=response_id)
            self.outbox.post(session_events_pb2.ServerEvent(playback_flush=flush))


def _claims(owner: str) -> Mapping[str, str]:
    """Return what calls say of whose session they are for."""
    tenant, _, principal = owner.partition("/")
    return {key: who for key, who in ((TENANT_KEY, tenant), (PRINCIPAL_KEY, principal)) if who}
