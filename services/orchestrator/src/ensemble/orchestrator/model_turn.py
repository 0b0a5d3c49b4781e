"""The turn loop: the model, the tools it asks for, and the model again."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ensemble.core.errors import (
    EngineFailedError,
    EnsembleError,
    ServiceUnavailableError,
    ToolFailedError,
)
from ensemble.orchestrator.conversation import Answer, Round
from ensemble.orchestrator.patience import LOST, once_there
from ensemble.orchestrator.phases import Phase
from ensemble.orchestrator.response import Response, Stage, Verdict
from ensemble.orchestrator.tool_results import for_model
from ensemble.orchestrator.tool_runner import ToolRunner
from ensemble.v1 import (
    common_pb2,
    model_router_service_pb2,
    session_events_pb2,
    tool_pb2,
    tool_server_service_pb2,
)

_BROKEN = (*LOST, EngineFailedError)
"""A chat that ends like this is asked again once, going on from what was committed."""

_ANSWER_LIMIT = 1_000_000
"""Code points of one answer: at four bytes each, the event with its whole text stays within a
message of 4 MiB. A model that says more is stopped as if it had reached its limit of tokens."""

_OUTPUT = ("text_delta", "tool_call_delta", "tool_call_done")
"""What a first output may be."""


@dataclass(slots=True)
class _Round:
    text: str = ""
    model: str = ""
    """Who wrote it."""
    calls: list[tool_pb2.ToolCall] = field(default_factory=list)
    done: model_router_service_pb2.ChatDone = field(
        default_factory=model_router_service_pb2.ChatDone
    )
    taken: bool = False
    """Somebody has answered the call, with whatever."""
    began: int = 0
    first: int = 0
    ended: int = 0
    """Times of the call in nanoseconds, by a clock that only grows; 0 for not yet."""

    def begin(self) -> None:
        """A call of the model begins, the first one or another that goes on from its text."""
        self.calls.clear()
        self.taken = False
        self.began, self.first, self.ended = time.monotonic_ns(), 0, 0

    def event(self, response_id: str) -> session_events_pb2.ServerEvent:
        """Return what the record keeps of the call once it is complete."""
        done = session_events_pb2.ResponseModelDone(
            response_id=response_id,
            stop_reason=self.done.stop_reason,
            outcome=self.done.outcome,
            usage=self.done.usage,
            tool_calls=len(self.calls),
        )
        done.first_output.FromNanoseconds((self.first or self.ended) - self.began)
        done.latency.FromNanoseconds(self.ended - self.began)
        return session_events_pb2.ServerEvent(response_model_done=done)


class ModelTurn:
    """The content of a response that a model makes. Its ``__call__`` is a ``Script``.

    Args:
        messages: What the model is given, the last one being what to answer.
        begun: The answer as an earlier process left it: what is complete is not done again,
            what was under way is asked once more.
    """

    def __init__(
        self,
        messages: Sequence[model_router_service_pb2.ChatMessage],
        begun: Answer | None = None,
    ) -> None:
        self._messages = list(messages)
        self._begun = begun
        self._partial = ""
        self._rounds = 0

    async def __call__(self, response: Response) -> Verdict:
        """Ask the model and run its tools until it has answered.

        Raises:
            EnsembleError: No model answered, or it asks for tools without end.
        """
        stage = response.stage
        if self._begun is not None:
            for asked in self._begun.asked:
                response.account.add(asked.usage)
            if self._begun.asked and not asked.tool_calls:
                self._leave_off(self._begun)
                return Verdict(asked.stop_reason, asked.outcome)
            # That it is taken up is in the record before anything is asked again.
            await stage.recorder.flush()
        server_tools = await self._specs(stage)
        client_tools = list(stage.config.client_tools)
        names = frozenset(tool.name for tool in client_tools)
        tools = client_tools + [tool for tool in server_tools if tool.name not in names]
        response.tools = runner = self._runner(response, names)
        used_ids: set[str] = set()
        if self._begun is not None:
            stage.phases.to(Phase.THINKING)
            await self._carry_on(response, runner, self._begun, used_ids)
        for _ in range(stage.settings.tool_rounds + 1):
            stage.phases.to(Phase.THINKING)
            said = await self._ask(response, tools)
            if not said.calls:
                response.record(said.event(response.response_id), urgent=False)
                return Verdict(said.done.stop_reason, said.done.outcome)
            _make_unique(said.calls, used_ids)
            results = await self._run_tools(response, runner, said)
            self._add_round(said.text, said.calls, results)
        raise ToolFailedError("The model asked for tools again and again without an answer.")

    def _leave_off(self, begun: Answer) -> None:
        """The models are done with it; should it begin anew, its tools have run."""
        self._begun = None
        for each, text in _rounds(begun):
            if each.calls:
                self._add_round(text, each.calls, [each.results[c.call_id] for c in each.calls])

    def _add_round(
        self,
        text: str,
        calls: Sequence[tool_pb2.ToolCall],
        results: Sequence[tool_pb2.ToolResult],
    ) -> None:
        self._rounds += 1
        self._messages += [
            model_router_service_pb2.ChatMessage(
                role=model_router_service_pb2.ROLE_ASSISTANT, text=text, tool_calls=calls
            ),
            model_router_service_pb2.ChatMessage(
                role=model_router_service_pb2.ROLE_TOOL,
                tool_results=[for_model(result) for result in results],
            ),
        ]

    async def _specs(self, stage: Stage) -> list[tool_pb2.ToolSpec]:
        if self._begun is None:
            return await stage.peers.toolbox.specs()
        return await once_there(stage.peers.toolbox.specs, stage.settings.resume_wait_s)

    async def _carry_on(
        self, response: Response, runner: ToolRunner, begun: Answer, used_ids: set[str]
    ) -> None:
        """Take over the rounds that are in the record, and run tools that have no result yet."""
        for each, text in _rounds(begun):
            if not each.calls:
                self._partial = text
                return
            used_ids.update(call.call_id for call in each.calls)
            missing = [call for call in each.calls if call.call_id not in each.results]
            if missing:
                found = await self._finish_tools(response, runner, missing)
                each.results.update((result.call_id, result) for result in found)
            self._add_round(text, each.calls, [each.results[c.call_id] for c in each.calls])

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
            peer_wait_s=stage.settings.peer_wait_s,
            on_progress=on_progress,
        )

    async def _ask(self, response: Response, tools: Sequence[tool_pb2.ToolSpec]) -> _Round:
        begun, self._begun = self._begun, None
        said = _Round(text=self._partial, model=begun.model if begun else "")
        self._partial = ""
        settings = response.stage.settings
        if begun is None:
            try:
                await self._chat(response, tools, said, attempt=1)
                return said
            except _BROKEN as exc:
                if said.taken or not isinstance(exc, ServiceUnavailableError):
                    response.record_loss()
                await response.stage.recorder.flush()
        # One more call and no third. A call that nobody took was not made: the connection to a
        # model router that died may break again before it is given up.
        await once_there(
            lambda: self._chat(response, tools, said, attempt=2),
            settings.peer_wait_s if begun is None else settings.resume_wait_s,
            taken=lambda: said.taken,
        )
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
            tools=tools,
            max_output_tokens=config.max_output_tokens,
            committed_text=said.text,
            committed_model=said.model if said.text else "",
        )
        # Each call of a model has its own; one that is made again has that of the first.
        start.context.idempotency_key = f"{response.response_id}/{self._rounds + 1}"
        for message in self._messages:
            start.messages.add().CopyFrom(message)  # half of what giving them all at once takes
        if attempt > 1:
            start.context.attempt = attempt
            start.context.purpose = common_pb2.PURPOSE_RESUME
        said.begin()
        account = response.account

        def late(event: model_router_service_pb2.ChatResponse) -> None:
            if event.HasField("done"):
                account.end(event.done.usage)

        account.begin()
        model = response.stage.peers.model
        try:
            async with model.chat(start, patient=attempt > 1, late=late) as chat:
                async for event in chat:
                    if await self._take(response, said, event):
                        return
        except EnsembleError:
            account.end()
            raise

    async def _take(
        self,
        response: Response,
        said: _Round,
        event: model_router_service_pb2.ChatResponse,
    ) -> bool:
        """Take in one event; True when it is the last."""
        branch = event.WhichOneof("event")
        said.taken = True
        if not said.first and branch in _OUTPUT:
            said.first = time.monotonic_ns()
        match branch:
            case "text_delta":
                await self._say(response, said, event.text_delta)
                if len(response.text) >= _ANSWER_LIMIT:
                    said.done.stop_reason = common_pb2.STOP_REASON_MAX_OUTPUT_TOKENS
                    said.done.outcome = common_pb2.OUTCOME_ANSWERED
                    said.ended = time.monotonic_ns()
                    return True
            case "tool_call_done":
                said.calls.append(event.tool_call_done)
            case "started":
                said.model = event.started.model
                model = session_events_pb2.ResponseModel(
                    response_id=response.response_id, model=event.started
                )
                started = session_events_pb2.ServerEvent(response_model=model)
                response.record(started, urgent=False)
            case "substituted":
                said.model = event.substituted.to_model
                substituted = session_events_pb2.ResponseModelSubstituted(
                    response_id=response.response_id, substitution=event.substituted
                )
                response.record(
                    session_events_pb2.ServerEvent(response_model_substituted=substituted)
                )
            case "error":
                await response.stage.send(session_events_pb2.ServerEvent(error=event.error))
            case "done":
                said.done, said.ended = event.done, time.monotonic_ns()
                response.account.end(event.done.usage)
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
        room = max(_ANSWER_LIMIT - len(response.text), 0)
        await response.say(text[:room], delta.token_count)

    async def _run_tools(
        self, response: Response, runner: ToolRunner, said: _Round
    ) -> list[tool_pb2.ToolResult]:
        # Added at once, so that they are committed together: all of a model's calls or none.
        for call in said.calls:
            event = session_events_pb2.ResponseToolCall(
                response_id=response.response_id, call=call, executor=runner.executor(call)
            )
            response.record(session_events_pb2.ServerEvent(response_tool_call=event))
        response.record(said.event(response.response_id), urgent=False)
        # What changes the world is in the record before it happens.
        await response.stage.recorder.flush()
        return await self._finish_tools(response, runner, said.calls)

    async def _finish_tools(
        self, response: Response, runner: ToolRunner, calls: Sequence[tool_pb2.ToolCall]
    ) -> list[tool_pb2.ToolResult]:
        response.stage.phases.to(Phase.TOOLS)
        again = self._begun is not None
        for call in calls if again else ():
            runner.executor(call)

        def on_done(result: tool_pb2.ToolResult) -> None:
            event = session_events_pb2.ResponseToolDone(
                response_id=response.response_id, result=result
            )
            response.record(session_events_pb2.ServerEvent(response_tool_done=event))

        return await runner.run(calls, on_done, again=again)


def _rounds(begun: Answer) -> Iterator[tuple[Round, str]]:
    """Yield the rounds of an answer, each with its text as the model wrote it."""
    before = ""
    for each in begun.rounds:
        between = bool(before) and not before[-1].isspace()
        yield each, each.text.removeprefix(" ") if between else each.text
        before += each.text


def _make_unique(calls: Sequence[tool_pb2.ToolCall], used: set[str]) -> None:
    """Ids of calls are unique within a response, also where a model counts each time anew."""
    for call in calls:
        call_id, number = call.call_id or "call", 2
        while call_id in used:
            call_id = f"{call.call_id[:56] or 'call'}-{number}"
            number += 1
        call.call_id = call_id
        used.add(call_id)
