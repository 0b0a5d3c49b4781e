"""Between the contract's messages and the domain, both ways."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from google.type import money_pb2

from ensemble.model_router.domain import (
    Call,
    Finished,
    Message,
    ModelEvent,
    Role,
    RouterEvent,
    Settled,
    Started,
    StopReason,
    Substituted,
    TextDelta,
    TokenUsage,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from ensemble.transport.status import from_status, to_status
from ensemble.v1 import common_pb2, tool_pb2
from ensemble.v1 import model_router_service_pb2 as pb

_ROLES: Mapping[Any, Role] = {
    pb.ROLE_SYSTEM: Role.SYSTEM,
    pb.ROLE_USER: Role.USER,
    pb.ROLE_ASSISTANT: Role.ASSISTANT,
    pb.ROLE_TOOL: Role.TOOL,
}
_ROLE_NUMBERS = {role: number for number, role in _ROLES.items()}
_STOPS: Mapping[StopReason, Any] = {
    StopReason.COMPLETED: common_pb2.STOP_REASON_COMPLETED,
    StopReason.TOOL_CALLS: common_pb2.STOP_REASON_TOOL_CALLS,
    StopReason.MAX_OUTPUT_TOKENS: common_pb2.STOP_REASON_MAX_OUTPUT_TOKENS,
    StopReason.CANCELLED: common_pb2.STOP_REASON_CANCELLED,
    StopReason.INTERRUPTED: common_pb2.STOP_REASON_INTERRUPTED,
}
_STOP_NUMBERS = {number: stop for stop, number in _STOPS.items()}


def call_from(start: pb.ChatStart) -> Call:
    """Return what ``start`` asks for."""
    return Call(
        messages=tuple(_message_from(message) for message in start.messages),
        tools=tuple(
            Tool(tool.name, tool.description, tool.input_schema_json) for tool in start.tools
        ),
        model=start.model,
        max_output_tokens=start.max_output_tokens,
        temperature=start.temperature if start.HasField("temperature") else None,
        stop=tuple(start.stop),
        committed_text=start.committed_text,
        committed_model=start.committed_model,
        seed=start.seed if start.HasField("seed") else None,
        speculative=start.context.purpose == common_pb2.PURPOSE_SPECULATIVE,
        idempotency_key=start.context.idempotency_key,
        cancelled=asyncio.Event(),
    )


def start_from(call: Call) -> pb.ChatStart:
    """Return the start message for ``call``."""
    start = pb.ChatStart(
        model=call.model,
        messages=[_message_to(message) for message in call.messages],
        tools=[
            tool_pb2.ToolSpec(
                name=tool.name, description=tool.description, input_schema_json=tool.schema_json
            )
            for tool in call.tools
        ],
        max_output_tokens=call.max_output_tokens,
        temperature=call.temperature,
        stop=call.stop,
        committed_text=call.committed_text,
        seed=call.seed,
    )
    if call.speculative:
        start.context.purpose = common_pb2.PURPOSE_SPECULATIVE
    return start


def event_from(response: pb.ChatResponse) -> ModelEvent | None:
    """Return what a model router said, or None for what is not the model's."""
    match response.WhichOneof("event"):
        case "text_delta":
            return TextDelta(response.text_delta.text, response.text_delta.token_count)
        case "tool_call_delta":
            delta = response.tool_call_delta
            return ToolCallDelta(delta.call_id, delta.name, delta.arguments_json)
        case "tool_call_done":
            done = response.tool_call_done
            return ToolCall(done.call_id, done.name, done.arguments_json)
        case "done":
            usage = response.done.usage
            return Finished(
                _STOP_NUMBERS.get(response.done.stop_reason, StopReason.INTERRUPTED),
                TokenUsage(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens),
                declined=response.done.outcome == common_pb2.OUTCOME_DECLINED,
            )
    return None


def response_from(event: RouterEvent) -> pb.ChatResponse:
    """Return the response that carries ``event``."""
    match event:
        case TextDelta(text, tokens):
            delta = pb.ChatTextDelta(text=text, token_count=tokens)
            return pb.ChatResponse(text_delta=delta)
        case ToolCallDelta(call_id, name, arguments):
            part = pb.ToolCallDelta(call_id=call_id, name=name, arguments_json=arguments)
            return pb.ChatResponse(tool_call_delta=part)
        case ToolCall(call_id, name, arguments):
            call = tool_pb2.ToolCall(call_id=call_id, name=name, arguments_json=arguments)
            return pb.ChatResponse(tool_call_done=call)
        case Started(model, engine):
            return pb.ChatResponse(started=pb.ChatStarted(model=model, engine=engine))
        case Substituted(before, after, reason):
            return pb.ChatResponse(
                substituted=pb.ModelSubstituted(
                    from_model=before, to_model=after, reason=to_status(reason)
                )
            )
    return pb.ChatResponse(done=_done_from(event))


def money_from(currency: str, nanos: int) -> money_pb2.Money:
    """Return an amount given in billionths."""
    units, rest = divmod(nanos, 1_000_000_000)
    return money_pb2.Money(currency_code=currency, units=units, nanos=rest)


def _done_from(settled: Settled) -> pb.ChatDone:
    usage = common_pb2.Usage(
        input_tokens=settled.usage.read,
        output_tokens=settled.usage.written,
        cached_input_tokens=settled.usage.cached,
    )
    if settled.cost is not None:
        usage.cost.CopyFrom(money_from(settled.cost.currency, settled.cost.nanos))
    ended = settled.stop in (StopReason.COMPLETED, StopReason.MAX_OUTPUT_TOKENS)
    outcome = common_pb2.OUTCOME_UNSPECIFIED
    if settled.declined:
        outcome = common_pb2.OUTCOME_DECLINED
    elif ended:
        outcome = common_pb2.OUTCOME_ANSWERED
    return pb.ChatDone(stop_reason=_STOPS[settled.stop], usage=usage, outcome=outcome)


def _message_from(message: pb.ChatMessage) -> Message:
    return Message(
        role=_ROLES[message.role],
        text=message.text,
        calls=tuple(
            ToolCall(call.call_id, call.name, call.arguments_json) for call in message.tool_calls
        ),
        results=tuple(_result_from(result) for result in message.tool_results),
    )


def _result_from(result: tool_pb2.ToolResult) -> ToolResult:
    if result.WhichOneof("outcome") == "error":
        error = from_status(result.error)
        content = json.dumps({"error": error.reason, "message": error.message}, ensure_ascii=False)
        return ToolResult(result.call_id, content)
    return ToolResult(result.call_id, result.result_json)


def _message_to(message: Message) -> pb.ChatMessage:
    return pb.ChatMessage(
        role=_ROLE_NUMBERS[message.role],
        text=message.text,
        tool_calls=[
            tool_pb2.ToolCall(
                call_id=call.call_id, name=call.name, arguments_json=call.arguments_json
            )
            for call in message.calls
        ],
        tool_results=[
            tool_pb2.ToolResult(call_id=result.call_id, result_json=result.content_json)
            for result in message.results
        ],
    )
