"""A tool server whose results a test writes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from ensemble.core.errors import EnsembleError, ToolNotFoundError
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, tool_pb2, tool_server_service_pb2, tool_server_service_pb2_grpc

Event = tool_server_service_pb2.CallToolResponse
Run = Callable[[dict[str, Any]], Any]


class ScriptedToolServer(tool_server_service_pb2_grpc.ToolServerServiceServicer):
    """Runs functions as tools.

    Attributes:
        calls: The calls that came, in order.
        running: How many run now; ``most`` the most there were at once.
        break_calls: So many calls are cut off without a result.
    """

    def __init__(self, **tools: Run) -> None:
        self._tools: dict[str, Run] = dict(tools)
        self.seconds: dict[str, float] = {}
        self.progress: dict[str, int] = {}
        self.calls: list[tool_server_service_pb2.CallToolStart] = []
        self.cancelled = 0
        self.running = 0
        self.most = 0
        self.listed = 0
        self.break_calls = 0
        self.break_with: EnsembleError = EnsembleError()

    def add(self, name: str, run: Run, seconds: float = 0.0, progress: int = 0) -> None:
        """Add a tool that takes so long and reports progress so often."""
        self._tools[name] = run
        self.seconds[name] = seconds
        self.progress[name] = progress

    async def ListTools(
        self, request: Any, context: Any
    ) -> tool_server_service_pb2.ListToolsResponse:
        self.listed += 1
        tools = [
            tool_pb2.ToolSpec(name=name, description=name, input_schema_json='{"type":"object"}')
            for name in sorted(self._tools)
        ]
        return tool_server_service_pb2.ListToolsResponse(tools=tools)

    async def EraseData(
        self, request: Any, context: Any
    ) -> tool_server_service_pb2.EraseDataResponse:
        return tool_server_service_pb2.EraseDataResponse()

    async def CallTool(self, request_iterator: Any, context: Any) -> AsyncIterator[Event]:
        inbox: Inbox[tool_server_service_pb2.CallToolRequest] = Inbox(request_iterator)
        start = await inbox.start()
        self.calls.append(start)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            events = with_heartbeats(self._run(start, inbox), heartbeat(Event))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            self.running -= 1
            self.cancelled += inbox.cancelled.is_set()
            await inbox.close()

    async def _run(
        self,
        start: tool_server_service_pb2.CallToolStart,
        inbox: Inbox[tool_server_service_pb2.CallToolRequest],
    ) -> AsyncIterator[Event]:
        call = start.call
        run = self._tools.get(call.name)
        if run is None:
            raise ToolNotFoundError
        if self.break_calls:
            self.break_calls -= 1
            raise self.break_with
        yield Event(started={"call_id": call.call_id})
        for done in range(self.progress.get(call.name, 0)):
            yield Event(progress={"call_id": call.call_id, "done": done + 1})
        stop_reason = common_pb2.STOP_REASON_COMPLETED
        if await inbox.pause(self.seconds.get(call.name, 0.0)):
            stop_reason = common_pb2.STOP_REASON_CANCELLED
        else:
            result = tool_pb2.ToolResult(call_id=call.call_id)
            try:
                value = run(json.loads(call.arguments_json or "{}"))
                if asyncio.iscoroutine(value):
                    value = await value
                result.result_json = json.dumps(value)
            except EnsembleError as exc:
                result.error.CopyFrom(to_status(exc))
            yield Event(result=result)
        yield Event(done={"stop_reason": stop_reason})
