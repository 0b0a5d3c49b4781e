"""A turn that is over, in one message."""

from ensemble.core.errors import ServiceUnavailableError
from ensemble.orchestrator.conversation import Conversation
from ensemble.transport.status import from_status
from ensemble.v1 import orchestrator_service_pb2, session_events_pb2


def summarise(
    conversation: Conversation, done: session_events_pb2.ResponseDone
) -> orchestrator_service_pb2.HandleTurnResponse:
    """Return the answer that ``done`` ended.

    Raises:
        EnsembleError: Why the answer failed.
    """
    if done.HasField("error"):
        raise from_status(done.error)
    answer = conversation.answer(done.response_id) if done.response_id else None
    if answer is None:
        raise ServiceUnavailableError
    told = orchestrator_service_pb2.HandleTurnResponse(
        session_id=conversation.session.session_id,
        response_id=done.response_id,
        stop_reason=done.stop_reason,
        outcome=done.outcome,
        usage=done.usage,
        text=answer.text,
    )
    for each in answer.rounds:
        for call in each.calls:
            if call.call_id in each.results:
                told.tools.add(call=call, result=each.results[call.call_id])
    return told
