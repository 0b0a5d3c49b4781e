"""The turn loop: the model, the tools it asks for, and the model again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ensemble.core.errors import (
    EngineFailedError,
    PeerLostError,
    ServiceUnavailableError,
    ToolFailedError,
)
from ensemble.orchestrator import usage as usages
from ensemble.orchestrator.phases import Phase
from ensemble.orchestrator.response import Response, Verdict
from ensemble.orchestrator.tool_results import for_model
from ensemble.orchestrator.tool_runner import ToolRunner
from ensemble.v1 import (
    common_pb2,
    model_router_service_pb2,
    session_events_pb2,
    tool_pb2,
    tool_server_service_pb2,
)

_BROKEN = (ServiceUnavailableError, PeerLostError, EngineFailedError)
"""A chat that ends like this is asked again once, going on from what was committed."""


@dataclass(slots=True)
class _Round:
    text: str = ""
    calls: list[tool_pb2.ToolCall] = field(default_factory=list)
    done: model_router_service_pb2.ChatDone = field(
        default_factory=model_router_service_pb2.ChatDone
    )


class ModelTurn:
    """The content of a response that a model makes. Its ``__call__`` is a ``Script``.

    Args:
        messages: What the model is given, the last one being what to answer.
    """

    def __init__(self, messages: Sequence[model_router_service_pb2.ChatMessage]) -> None:
        self._messages = list(messages)

    async def __call__(self, response: Response) -> Verdict:
        """Ask the model and run its tools until it has answered.

        Raises:
            EnsembleError: No model answered, or it asks for tools without end.
        """
        stage = response.stage
        server_tools = await stage.peers.toolbox.specs()
        client_tools = list(stage.config.client_tools)
        names = frozenset(tool.name for tool in client_tools)
        tools = client_tools + [tool for tool in server_tools if tool.name not in names]
        response.tools = runner = self._runner(response, names)
        usage = common_pb2.Usage()
        used_ids: set[str] = set()
        for _ in range(stage.settings.tool_rounds + 1):
            stage.phases.to(Phase.THINKING)
            said = await self._ask(response, tools)
            usages.add(usage, said.done.usage)
            if not said.calls:
                return Verdict(said.done.stop_reason, said.done.outcome, usage)
            _make_unique(said.calls, used_ids)
            results = await self._run_tools(response, runner, said.calls)
            self._messages += [
                model_router_service_pb2.ChatMessage(
                    role=model_router_service_pb2.ROLE_ASSISTANT,
                    text=said.text,
                    tool_calls=said.calls,
                ),
                model_router_service_pb2.ChatMessage(
                    role=model_router_service_pb2.ROLE_TOOL,
                    tool_results=[for_model(result) for result in results],
                ),
            ]
        raise ToolFailedError("The model asked for tools again and again without an answer.")

    def _runner(self, response: Response, client_tools: frozenset[str]) -> ToolRunner:
        stage = response.stage

        async def on_progress(progress: tool_server_service_pb2.ToolProgress) -> None:
            event = session_events_pb2.ResponseToolProgress(
                response_id=response.response_id, progress=progress
            )
            await stage.send(session_events_pb2.ServerEvent(response_tool_progress=event))

        return ToolRunner(
            stage.peers.toolbox,
            response.context(),
            client_tools,
            server_limit_s=stage.settings.tool_s,
            client_limit_s=stage.settings.client_tool_s,
            on_progress=on_progress,
        )

    async def _ask(self, response: Response, tools: Sequence[tool_pb2.ToolSpec]) -> _Round:
        said = _Round()
        try:
            await self._chat(response, tools, said, attempt=1)
        except _BROKEN:
            await response.stage.recorder.flush()
            said.calls.clear()
            await self._chat(response, tools, said, attempt=2)
        return said

    async def _chat(
        self,
        response: Response,
        tools: Sequence[tool_pb2.ToolSpec],
        said: _Round,
        *,
        attempt: int,
    ) -> None:
        config = response.stage.config
        start = model_router_service_pb2.ChatStart(
            context=response.context(),
            model=config.model,
            messages=self._messages,
            tools=tools,
            max_output_tokens=config.max_output_tokens,
            committed_text=said.text,
        )
        if attempt > 1:
            start.context.attempt = attempt
            start.context.purpose = common_pb2.PURPOSE_RESUME
        async with response.stage.peers.model.chat(start, patient=attempt > 1) as chat:
            async for event in chat:
                if await self._take(response, said, event):
                    return

    async def _take(
        self,
        response: Response,
        said: _Round,
        event: model_router_service_pb2.ChatResponse,
    ) -> bool:
        """Take in one event; True when it is the last."""
        match event.WhichOneof("event"):
            case "text_delta":
                await self._say(response, said, event.text_delta)
            case "tool_call_done":
                said.calls.append(event.tool_call_done)
            case "started":
                model = session_events_pb2.ResponseModel(
                    response_id=response.response_id, model=event.started
                )
                started = session_events_pb2.ServerEvent(response_model=model)
                response.record(started, urgent=False)
            case "substituted":
                substituted = session_events_pb2.ResponseModelSubstituted(
                    response_id=response.response_id, substitution=event.substituted
                )
                response.record(
                    session_events_pb2.ServerEvent(response_model_substituted=substituted)
                )
            case "error":
                await response.stage.send(session_events_pb2.ServerEvent(error=event.error))
            case "done":
                said.done = event.done
                return True
        return False

    async def _say(
        self,
        response: Response,
        said: _Round,
        delta: model_router_service_pb2.ChatTextDelta,
    ) -> None:
        text = delta.text
        if not said.text and response.text and not response.text[-1].isspace():
            # What is said after the tools does not run into what was said before them.
            text = f" {text}"
        said.text += delta.text
        await response.say(text, delta.token_count)

    async def _run_tools(
        self, response: Response, runner: ToolRunner, calls: Sequence[tool_pb2.ToolCall]
    ) -> list[tool_pb2.ToolResult]:
        for call in calls:
            event = session_events_pb2.ResponseToolCall(
                response_id=response.response_id, call=call, executor=runner.executor(call)
            )
            response.record(session_events_pb2.ServerEvent(response_tool_call=event))
        response.stage.phases.to(Phase.TOOLS)
        # What changes the world is in the record before it happens.
        await response.stage.recorder.flush()

        def on_done(result: tool_pb2.ToolResult) -> None:
            event = session_events_pb2.ResponseToolDone(
                response_id=response.response_id, result=result
            )
            response.record(session_events_pb2.ServerEvent(response_tool_done=event))

        return await runner.run(calls, on_done)


def _make_unique(calls: Sequence[tool_pb2.ToolCall], used: set[str]) -> None:
    """Ids of calls are unique within a response, also where a model counts each time anew."""
    for call in calls:
        call_id, number = call.call_id or "call", 2
        while call_id in used:
            call_id = f"{call.call_id[:56] or 'call'}-{number}"
            number += 1
        call.call_id = call_id
        used.add(call_id)
