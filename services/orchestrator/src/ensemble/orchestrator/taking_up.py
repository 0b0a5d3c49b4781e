"""Goes on with what an earlier process left open in a session."""

from ensemble.orchestrator.conversation import Answer, Said
from ensemble.orchestrator.model_turn import ModelTurn
from ensemble.orchestrator.response import Script
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.turns import Turn, closing, fixed_text
from ensemble.v1 import common_pb2


def take_up(session: Session) -> None:
    """Carry on with the answer that is open or end it, or answer the turn that has none.

    What is finished is not done again; a call that was under way is made again, going on from
    what is committed. An end is in the record once that is flushed.
    """
    conversation = session.conversation
    answer, said = conversation.open_answer, conversation.answered_by_open
    if answer is None:
        if (waiting := conversation.last_said) is not None:
            session.submit(_turn(waiting))
    elif said is None or not conversation.may_go_on:
        session.recorder.add(closing(answer), mark="")
    else:
        script = _rest_of(session, answer, said)
        session.begin(script, turn_id=answer.turn_id, turn=_turn(said), begun=answer)


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
