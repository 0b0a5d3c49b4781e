"""Runs the tools that a model asks for."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ensemble.core.errors import (
    EnsembleError,
    ToolFailedError,
    ToolNotFoundError,
    ToolOutcomeUnknownError,
    ToolTimeoutError,
)
from ensemble.orchestrator.patience import LOST, once_there
from ensemble.orchestrator.ports import Tools
from ensemble.orchestrator.tool_results import failed
from ensemble.v1 import common_pb2, tool_pb2, tool_server_service_pb2

_AT_ONCE: Final = 8
"""Tools of one response that run at the same time."""

Progress = Callable[[tool_server_service_pb2.ToolProgress], Awaitable[object]]


class ToolBox:
    """The tools of the tool server, asked for once and again after a failure.

    Args:
        tools: Where they are.
    """

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self._known: list[tool_pb2.ToolSpec] | None = None
        self._stale = True
        self._asking: asyncio.Task[list[tool_pb2.ToolSpec]] | None = None

    async def specs(self) -> list[tool_pb2.ToolSpec]:
        """Return the tools; those known from before while the server cannot be asked.

        Raises:
            EnsembleError: It cannot be asked and never was.
        """
        if self._known is not None and not self._stale:
            return self._known
        if self._asking is None:
            self._asking = asyncio.create_task(self.tools.list_tools())
            self._asking.add_done_callback(self._asked)
        try:
            return await asyncio.shield(self._asking)
        except EnsembleError:
            if self._known is not None:
                return self._known
            raise

    def must_not_repeat(self, name: str) -> bool:
        """Return whether running a tool twice may do harm, as far as is known."""
        spec = next((tool for tool in self._known or () if tool.name == name), None)
        return not (spec and (spec.idempotent or spec.read_only or spec.idempotent_by_key))

    def forget(self) -> None:
        """Ask again next time: something did not fit what is known."""
        self._stale = True

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    def _asked(self, asking: "asyncio.Task[list[tool_pb2.ToolSpec]]") -> None:
        self._asking = None
        if not asking.cancelled() and asking.exception() is None:
            self._known = asking.result()
            self._stale = False


class ToolRunner:
    """Runs the tools of one response: at the tool server, or by the client that has them.

    Args:
        toolbox: The server's tools.
        context: What the calls are for; each gets its own idempotency key.
        client_tools: Names of the tools that the client runs.
        server_limit_s: How long a server may take.
        client_limit_s: How long a client may take.
        peer_wait_s: How long a server that was lost is tried again.
        on_progress: Told how far a tool is.
    """

    def __init__(
        self,
        toolbox: ToolBox,
        context: common_pb2.CallContext,
        client_tools: frozenset[str],
        *,
        server_limit_s: float,
        client_limit_s: float,
        peer_wait_s: float,
        on_progress: Progress,
    ) -> None:
        self._toolbox = toolbox
        self._context = context
        self._client_tools = client_tools
        self._server_limit_s = server_limit_s
        self._client_limit_s = client_limit_s
        self._peer_wait_s = peer_wait_s
        self._on_progress = on_progress
        self._asked: dict[str, asyncio.Future[tool_pb2.ToolResult]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def executor(self, call: tool_pb2.ToolCall) -> tool_pb2.ToolExecutor:
        """Return who runs ``call``; a client may answer from now on."""
        if call.name not in self._client_tools:
            return tool_pb2.TOOL_EXECUTOR_SERVER
        self._asked[call.call_id] = asyncio.get_running_loop().create_future()
        return tool_pb2.TOOL_EXECUTOR_CLIENT

    def answer(self, result: tool_pb2.ToolResult) -> bool:
        """Take a client's result; False when nothing waits for it."""
        asked = self._asked.get(result.call_id)
        if asked is None or asked.done():
            return False
        asked.set_result(result)
        return True

    async def run(
        self,
        calls: Sequence[tool_pb2.ToolCall],
        on_done: Callable[[tool_pb2.ToolResult], None],
        *,
        again: bool = False,
    ) -> list[tool_pb2.ToolResult]:
        """Run ``calls`` at the same time; return their results in the order of the calls.

        ``again``: an earlier process may have begun them; their keys make sure that a tool
        which has done its work does not do it twice.
        """

        async def one(call: tool_pb2.ToolCall) -> tool_pb2.ToolResult:
            async with self._at_once:
                result = await self._run(call, again)
            on_done(result)
            return result

        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(call)) for call in calls]
        return [task.result() for task in running]

    async def _run(self, call: tool_pb2.ToolCall, again: bool) -> tool_pb2.ToolResult:
        is_clients = call.call_id in self._asked
        limit = self._client_limit_s if is_clients else self._server_limit_s
        try:
            async with asyncio.timeout(limit):
                if is_clients:
                    return await self._asked[call.call_id]
                return await self._run_on_server(call, again)
        except TimeoutError:
            return self._failed(call, ToolTimeoutError(), is_clients)
        except EnsembleError as exc:
            if isinstance(exc, ToolNotFoundError):
                self._toolbox.forget()
            return self._failed(call, exc, is_clients)

    def _failed(
        self, call: tool_pb2.ToolCall, error: EnsembleError, is_clients: bool
    ) -> tool_pb2.ToolResult:
        unknown = isinstance(error, (*LOST, ToolTimeoutError)) and not is_clients
        if unknown and self._toolbox.must_not_repeat(call.name):
            error = ToolOutcomeUnknownError()
        return failed(call.call_id, error)

    async def _run_on_server(self, call: tool_pb2.ToolCall, again: bool) -> tool_pb2.ToolResult:
        if not again:
            with contextlib.suppress(*LOST):
                return await self._call(call, attempt=1)
            self._toolbox.forget()
        # The key makes sure that a tool which did run is not run again.
        return await once_there(lambda: self._call(call, attempt=2), self._peer_wait_s)

    async def _call(self, call: tool_pb2.ToolCall, attempt: int) -> tool_pb2.ToolResult:
        start = tool_server_service_pb2.CallToolStart(call=call, context=self._context)
        start.context.attempt = attempt
        start.context.purpose = common_pb2.PURPOSE_TURN
        start.context.idempotency_key = f"{self._context.response_id}/{call.call_id}"
        start.time_limit.FromMilliseconds(int(self._server_limit_s * 1000))
        result = None
        async with self._toolbox.tools.call_tool(start, patient=attempt > 1) as events:
            async for event in events:
                match event.WhichOneof("event"):
                    case "progress":
                        await self._on_progress(event.progress)
                    case "result":
                        result = event.result
                    case "done":
                        break
        if result is None:
            raise ToolFailedError
        return result
