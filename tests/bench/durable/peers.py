"""The model and the tool of a turn: as services behind channels, and as injected ports."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from ensemble.testkit.scripted import ScriptedModelRouter, ScriptedToolServer
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import (
    common_pb2,
    model_router_service_pb2,
    tool_pb2,
    tool_server_service_pb2,
)
from tests.bench.durable.work import ARGUMENTS, RESULT, TOOL, Work

_Said = model_router_service_pb2.ChatResponse
_Ran = tool_server_service_pb2.CallToolResponse
_SPEC = tool_pb2.ToolSpec(name=TOOL, description=TOOL, input_schema_json='{"type":"object"}')


async def _answer(
    work: Work, messages: Sequence[model_router_service_pb2.ChatMessage]
) -> AsyncIterator[_Said]:
    yield _Said(started={"model": "scripted", "engine": "script"})
    done = model_router_service_pb2.ChatDone(
        outcome=common_pb2.OUTCOME_ANSWERED, stop_reason=common_pb2.STOP_REASON_COMPLETED
    )
    done.usage.input_tokens, done.usage.output_tokens = 10, work.pieces
    if work.tool and messages[-1].role == model_router_service_pb2.ROLE_USER:
        call = {"call_id": "call", "name": TOOL, "arguments_json": ARGUMENTS}
        yield _Said(tool_call_done=call)
    else:
        if work.pause_s:
            await asyncio.sleep(work.pause_s)
        for piece in work.answer:
            yield _Said(text_delta={"text": piece, "token_count": len(piece) // 8})
            if work.piece_s:
                await asyncio.sleep(work.piece_s)
    yield _Said(done=done)


async def _run(call: tool_pb2.ToolCall) -> AsyncIterator[_Ran]:
    yield _Ran(started={"call_id": call.call_id})
    yield _Ran(result={"call_id": call.call_id, "result_json": json.dumps(RESULT)})
    yield _Ran(done={"stop_reason": common_pb2.STOP_REASON_COMPLETED})


class WorkModelRouter(ScriptedModelRouter):
    """Serves the model. ``entered`` counts answers."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self.entered = 0

    async def Chat(self, request_iterator: Any, context: Any) -> AsyncIterator[_Said]:
        inbox: Inbox[model_router_service_pb2.ChatRequest] = Inbox(request_iterator)
        start = await inbox.start()
        last = start.messages[-1].role
        self.entered += not self._work.tool or last == model_router_service_pb2.ROLE_TOOL
        try:
            events = with_heartbeats(_answer(self._work, start.messages), heartbeat(_Said))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            await inbox.close()


class WorkToolServer(ScriptedToolServer):
    """Serves the tool."""

    async def ListTools(
        self, request: Any, context: Any
    ) -> tool_server_service_pb2.ListToolsResponse:
        return tool_server_service_pb2.ListToolsResponse(tools=[_SPEC])

    async def CallTool(self, request_iterator: Any, context: Any) -> AsyncIterator[_Ran]:
        inbox: Inbox[tool_server_service_pb2.CallToolRequest] = Inbox(request_iterator)
        start = await inbox.start()
        try:
            events = with_heartbeats(_run(start.call), heartbeat(_Ran))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            await inbox.close()


class WorkModel:
    """The model as a port. Implements ``LanguageModel``."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @asynccontextmanager
    async def chat(
        self,
        start: model_router_service_pb2.ChatStart,
        *,
        patient: bool = False,
        late: Callable[[_Said], None] | None = None,
    ) -> AsyncIterator[AsyncIterator[_Said]]:
        async with aclosing(_answer(self._work, start.messages)) as events:  # type: ignore[type-var]
            yield events


class WorkTools:
    """The tool as a port. Implements ``Tools``."""

    async def list_tools(self) -> list[tool_pb2.ToolSpec]:
        return [_SPEC]

    @asynccontextmanager
    async def call_tool(
        self, start: tool_server_service_pb2.CallToolStart, *, patient: bool = False
    ) -> AsyncIterator[AsyncIterator[_Ran]]:
        async with aclosing(_run(start.call)) as events:  # type: ignore[type-var]
            yield events
