"""Chooses the model for a call, and the next one when it fails."""

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from ensemble.core.errors import (
    ContextTooLongError,
    EngineFailedError,
    EnsembleError,
    InvalidArgumentError,
    ModelNotFoundError,
    ModelUnavailableError,
    RateLimitedError,
)
from ensemble.model_router.circuit import Circuit
from ensemble.model_router.completed import Completed, CompletedCalls
from ensemble.model_router.domain import (
    Call,
    Cost,
    Finished,
    ModelEvent,
    RouterEvent,
    Settled,
    Started,
    StopReason,
    Substituted,
    TextDelta,
    TokenUsage,
    ToolCall,
)
from ensemble.model_router.ports import Model, State
from ensemble.model_router.pricing import Price

_log = structlog.get_logger(__name__)

_NO_FAULT = (ContextTooLongError, InvalidArgumentError, RateLimitedError)
_ADVICE = "Put a GGUF into the models folder or set LLM_URL."


@dataclass(eq=False)
class Route:
    """A model of the registry and what the router knows about it.

    ``fallback`` None means every other model, in the registry's order.
    """

    model: Model
    capabilities: frozenset[str] = frozenset()
    price: Price = field(default_factory=Price)
    fallback: tuple[str, ...] | None = None
    circuit: Circuit = field(default_factory=Circuit)


class Router:
    """Answers calls with the models of a registry.

    Args:
        routes: Returns the models, in the order in which they are tried.
        start_wait: Seconds to wait for a model that is starting when no other can answer.
    """

    def __init__(self, routes: Callable[[], Sequence[Route]], *, start_wait: float = 2.0) -> None:
        self._routes = routes
        self._start_wait = start_wait
        self._completed = CompletedCalls()

    def routes(self) -> Sequence[Route]:
        """Return the models in the order in which they are tried."""
        return self._routes()

    async def chat(self, call: Call) -> AsyncGenerator[RouterEvent, None]:
        """Answer ``call``; ends with one ``Settled``.

        Raises:
            ModelNotFoundError: No model has the name that the call asks for.
            ModelUnavailableError: No model can answer.
            EnsembleError: What the last model failed with.
        """
        earlier = self._completed.find(call)
        if earlier is not None:
            for event in _replay(call, earlier):
                yield event
            return
        turn = _Turn(call)
        chain = self._chain(call)
        while True:
            route = await self._next(chain, turn)
            if route is None:
                yield turn.give_up()
                return
            yield turn.begin(route)
            try:
                async with contextlib.aclosing(_events(route.model, turn)) as events:
                    async for said in events:
                        if isinstance(said, Finished):
                            route.circuit.answered()
                            settled = turn.settle(said)
                            self._completed.keep(call, turn.completed(settled))
                            yield settled
                            return
                        turn.note(said)
                        yield said
                raise EngineFailedError("The model stopped without saying why.")
            except EnsembleError as error:
                _log.warning("model failed", model=route.model.name, reason=error.reason)
                if not isinstance(error, _NO_FAULT):
                    route.circuit.failed()
                turn.failed(error)
                if turn.calls:
                    # The calls that are out may be running by now: no other model asks again.
                    yield turn.settle(Finished(StopReason.TOOL_CALLS, TokenUsage()))
                    return

    def _chain(self, call: Call) -> list[Route]:
        routes = self._routes()
        if call.model:
            first = next((r for r in routes if r.model.name == call.model), None)
            if first is None:
                raise ModelNotFoundError(metadata={"model": call.model})
            others = [r for r in routes if r is not first]
            if first.fallback is not None:
                by_name = {r.model.name: r for r in others}
                others = [by_name[name] for name in first.fallback if name in by_name]
            return [first, *others]
        if call.tools:
            able = [r for r in routes if "tools" in r.capabilities]
            return able or list(routes)
        return list(routes)

    async def _next(self, chain: list[Route], turn: "_Turn") -> Route | None:
        """Return the next model to try; None when there is none."""
        left = [r for r in chain if r not in turn.tried]
        if turn.said:
            able = [r for r in left if r.model.can_continue]
            alive = any(r.model.condition().state is State.READY for r in left)
            turn.cannot_continue = alive and not able
            left = able
        ready = [r for r in left if r.model.condition().state is State.READY]
        for route in ready:
            if not route.circuit.remaining:
                return route
        for route in left:
            if route.model.condition().state is State.STARTING and await route.model.ready(
                self._start_wait
            ):
                return route
        if ready:
            # All have failed lately; better the one that rested longest than none.
            return min(ready, key=lambda route: route.circuit.remaining)
        turn.reasons = [r.model.condition().reason for r in left if r.model.condition().reason]
        return None


class _Turn:
    """What has become of one call so far."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.tried: list[Route] = []
        self.said = call.committed_text
        self.calls: list[ToolCall] = []
        self.reasons: list[str] = []
        self.cannot_continue = False
        self._error: EnsembleError | None = None
        self._usage = TokenUsage()
        self._cost: Cost | None = None
        self.written = 0
        self._before = 0
        self._started: Started | None = None

    def begin(self, route: Route) -> RouterEvent:
        before = self.tried[-1].model.name if self.tried else ""
        self.tried.append(route)
        self._before = self.written
        self._started = self._started or Started(route.model.name, route.model.engine)
        if self._error is None:
            return self._started
        return Substituted(before, route.model.name, self._error)

    def note(self, event: ModelEvent) -> None:
        if isinstance(event, TextDelta):
            self.said += event.text
            self.written += event.tokens
        elif isinstance(event, ToolCall):
            self.calls.append(event)

    def failed(self, error: EnsembleError) -> None:
        self._error = error
        self._account(TokenUsage(written=self.written - self._before))

    def settle(self, finished: Finished) -> Settled:
        self._account(finished.usage)
        name = self.tried[-1].model.name
        return Settled(finished.stop, self._usage, finished.declined, name, self._cost)

    def completed(self, settled: Settled) -> Completed:
        assert self._started is not None
        return Completed(self._started, self.said, tuple(self.calls), settled)

    def give_up(self) -> Settled:
        """Return the end of a call that nobody can go on with, or raise what it failed with."""
        if self.cannot_continue:
            return Settled(StopReason.INTERRUPTED, self._usage, False, "", self._cost)
        if self._error is not None:
            raise self._error
        reasons = " ".join(dict.fromkeys(self.reasons))
        raise ModelUnavailableError(reasons and f"{reasons} {_ADVICE}")

    def _account(self, usage: TokenUsage) -> None:
        self._usage += usage
        cost = self.tried[-1].price.cost_of(usage)
        if cost is not None:
            self._cost = cost if self._cost is None else self._cost + cost


async def _events(model: Model, turn: _Turn) -> AsyncGenerator[ModelEvent, None]:
    limit = turn.call.max_output_tokens
    call = dataclasses.replace(
        turn.call,
        committed_text=turn.said,
        max_output_tokens=max(1, limit - turn.written) if limit else 0,
    )
    async with contextlib.aclosing(model.chat(call)) as events:
        async for event in events:
            yield event


def _replay(call: Call, earlier: Completed) -> list[RouterEvent]:
    rest = earlier.text[len(call.committed_text) :]
    text: list[RouterEvent] = [TextDelta(rest)] if rest else []
    return [earlier.started, *text, *earlier.calls, earlier.settled]
