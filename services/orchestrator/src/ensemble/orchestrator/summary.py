"""A turn that is over, in one message."""

from ensemble.core.errors import ServiceUnavailableError
from ensemble.orchestrator.session import Session
from ensemble.transport.status import from_status
from ensemble.v1 import orchestrator_service_pb2, session_events_pb2, tool_pb2

_PAGE = 256


async def summarise(
    session: Session, after: int, done: session_events_pb2.ResponseDone
) -> orchestrator_service_pb2.HandleTurnResponse:
    """Return the answer that ``done`` ended, from the record after sequence ``after``.

    Raises:
        EnsembleError: Why the answer failed.
    """
    if done.HasField("error"):
        raise from_status(done.error)
    if not done.response_id:
        raise ServiceUnavailableError
    answer = orchestrator_service_pb2.HandleTurnResponse(
        session_id=session.session_id,
        response_id=done.response_id,
        stop_reason=done.stop_reason,
        outcome=done.outcome,
        usage=done.usage,
    )
    calls: dict[str, tool_pb2.ToolCall] = {}
    while page := await session.read_record(after, _PAGE):
        for event in page:
            _add(answer, calls, event)
        after = page[-1].sequence
    return answer


def _add(
    answer: orchestrator_service_pb2.HandleTurnResponse,
    calls: dict[str, tool_pb2.ToolCall],
    event: session_events_pb2.ServerEvent,
) -> None:
    branch = event.WhichOneof("event")
    if branch == "response_text_done":
        if event.response_text_done.response_id == answer.response_id:
            answer.text = event.response_text_done.text
    elif branch == "response_tool_call":
        if event.response_tool_call.response_id == answer.response_id:
            calls[event.response_tool_call.call.call_id] = event.response_tool_call.call
    elif branch == "response_tool_done":
        result = event.response_tool_done.result
        if event.response_tool_done.response_id == answer.response_id and result.call_id in calls:
            answer.tools.add(call=calls[result.call_id], result=result)
