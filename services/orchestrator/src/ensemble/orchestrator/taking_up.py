"""Goes on with what an earlier process left open in a session."""

from collections.abc import Sequence

from ensemble.core.errors import ConflictError
from ensemble.eventlog import Append, EventLog, StreamKey
from ensemble.orchestrator.conversation import Answer, Conversation, Said
from ensemble.orchestrator.model_turn import ModelTurn
from ensemble.orchestrator.response import Script
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.turns import Turn, closing, fixed_text
from ensemble.v1 import common_pb2


async def note_taking_up(log: EventLog, conversations: Sequence[Conversation]) -> dict[str, bool]:
    """Take note that open answers are taken up where their records end.

    What is finished is not done again; a call that was under way is made again once, going on
    from what is committed. If the process that made it again was lost as well before anything
    more was committed, the answer may not go on. Where only its speech is left, no call is made
    again, and it goes on however often that happens.

    Returns:
        By session, whether its answer may go on.

    Raises:
        EnsembleError: The log cannot be used.
    """
    places = {each.session.session_id: _place(each) for each in conversations if _asks(each)}
    again = set()
    try:
        await log.append(list(places.values()))
    except ConflictError:
        # One of them at least was taken up there before.
        for session_id, place in places.items():
            try:
                await log.append([place])
            except ConflictError:
                again.add(session_id)
    return {
        each.session.session_id: each.answered_by_open is not None
        and each.session.session_id not in again
        for each in conversations
    }


def _asks(conversation: Conversation) -> bool:
    """A model, or a tool, is asked again for the answer that is open."""
    answer = conversation.open_answer
    # What was said unasked is in the record for whoever was to hear it.
    return answer is not None and not answer.complete and bool(conversation.answered_by_open)


def _place(conversation: Conversation) -> Append:
    session = conversation.session
    place = StreamKey("resume", f"{session.session_id}/{session.last_sequence}")
    return Append(place, "resumed", b"", expected_seq=0)


def take_up(session: Session, may_go_on: bool) -> None:
    """Carry on with the answer that is open or end it, or answer the turn that has none.

    An end is in the record once that is flushed.

    Args:
        session: Whose.
        may_go_on: What ``note_taking_up`` said.
    """
    conversation = session.conversation
    answer, said = conversation.open_answer, conversation.answered_by_open
    if answer is None:
        if (waiting := conversation.last_said) is not None:
            session.submit(_turn(waiting))
    elif said is None or not may_go_on:
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
