"""A turn on its way into the conversation."""

import asyncio
from dataclasses import dataclass, field

from ensemble.core.errors import EnsembleError, ServiceUnavailableError
from ensemble.core.ids import new_id
from ensemble.orchestrator import usage as usages
from ensemble.orchestrator.conversation import Answer
from ensemble.orchestrator.response import Response, Script, Verdict
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, session_events_pb2


@dataclass(slots=True)
class Turn:
    """What somebody said or typed.

    Attributes:
        recorded: It is in the record already and is answered only now.
        respond: It is to be answered.
        accepted: Input that is safe with it.
        caused_by: Client event that brought it.
        script: Makes the answer that it began to get and that must begin anew.
        answered: Set to how its response ended, for one who waits for that.
    """

    text: str
    spoken: bool = False
    rejected: bool = False
    recorded: bool = False
    respond: bool = True
    accepted: session_events_pb2.InputAccepted = field(
        default_factory=session_events_pb2.InputAccepted
    )
    caused_by: str = ""
    turn_id: str = field(default_factory=lambda: new_id("turn"))
    script: Script | None = None
    answered: "asyncio.Future[session_events_pb2.ResponseDone] | None" = None

    def committed(self) -> session_events_pb2.ServerEvent:
        """Return the event with which it enters the conversation."""
        said = session_events_pb2.InputCommitted(
            turn_id=self.turn_id,
            text=self.text,
            spoken=self.spoken,
            rejected=self.rejected,
            accepted=self.accepted,
        )
        return session_events_pb2.ServerEvent(
            input_committed=said, caused_by_event_id=self.caused_by
        )

    def finish(
        self, done: session_events_pb2.ResponseDone | None, error: EnsembleError | None = None
    ) -> None:
        """Tell the one who waits how it ended."""
        if self.answered is None or self.answered.done():
            return
        if done is not None:
            self.answered.set_result(done)
        elif error is not None:
            self.answered.set_exception(error)
        else:
            self.answered.set_result(session_events_pb2.ResponseDone())


def fixed_text(text: str, outcome: common_pb2.Outcome = common_pb2.OUTCOME_ANSWERED) -> Script:
    """Return the script of a response that says ``text``; no model takes part.

    Two things are said like that: a notice, and the apology to speech that could not be
    understood, for which there is nothing that a model could answer. Their responses have
    no ``response_model``.
    """

    async def say(response: Response) -> Verdict:
        await response.say(text)
        return Verdict(outcome=outcome)

    return say


def closing(answer: Answer) -> session_events_pb2.ServerEvent:
    """Return the end of an answer that was cut off with the process that made it."""
    done = session_events_pb2.ResponseDone(
        response_id=answer.response_id,
        stop_reason=common_pb2.STOP_REASON_INTERRUPTED,
        error=to_status(ServiceUnavailableError("The answer was cut off; ask again.")),
    )
    for asked in answer.asked:
        usages.add(done.usage, asked.usage)
    done.heard.end = len(answer.text)
    return session_events_pb2.ServerEvent(response_done=done)
