"""Goes on with what an earlier process left open in a session."""

from ensemble.core.errors import ConflictError
from ensemble.eventlog import Append, StreamKey
from ensemble.orchestrator.conversation import Answer, Said
from ensemble.orchestrator.model_turn import ModelTurn
from ensemble.orchestrator.response import Script
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.turns import Turn, closing, fixed_text
from ensemble.v1 import common_pb2


async def take_up(session: Session) -> None:
    """Carry on with the answer that is open, or answer the turn that has none.

    What is finished is not done again; a call that was under way is made again once, going on
    from what is committed. If the process that made it again was lost as well before anything
    more was committed, the answer ends here. Where only its speech is left, no call is made
    again, and it goes on however often that happens.

    Raises:
        EnsembleError: The log cannot be used.
    """
    conversation = session.conversation
    answer = conversation.open_answer
    first = (answer is not None and answer.complete) or await _is_first(session)
    if answer is None:
        if (waiting := conversation.last_said) is not None:
            session.submit(_turn(waiting))
        return
    said = conversation.answered_by_open
    # What was said unasked is in the record for whoever was to hear it.
    if said is None or not first:
        session.recorder.add(closing(answer), mark="")
        await session.recorder.flush()
        return
    script = _rest_of(session, answer, said)
    session.begin(script, turn_id=answer.turn_id, turn=_turn(said), begun=answer)


async def _is_first(session: Session) -> bool:
    """Take note that the session is taken up where its record ends; False if it was before."""
    place = f"{session.session_id}/{session.conversation.session.last_sequence}"
    try:
        await session.log.append(
            [Append(StreamKey("resume", place), "resumed", b"", expected_seq=0)]
        )
    except ConflictError:
        return False
    return True


def _turn(said: Said) -> Turn:
    return Turn(text=said.text, turn_id=said.turn_id, recorded=True, rejected=not said.text)


def _rest_of(session: Session, answer: Answer, said: Said) -> Script:
    settings = session.settings
    if said.text:
        history = session.conversation.messages(
            settings.instructions, settings.history_messages, carry_on=True
        )
        return ModelTurn(history, begun=answer)
    rest = "" if answer.complete else settings.apology[len(answer.text) :]
    return fixed_text(rest, common_pb2.OUTCOME_DECLINED)
