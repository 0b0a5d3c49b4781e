"""Chooses the model for a call, and the next one when it fails."""

import contextlib
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

        Another model takes over only before the first text. What one has said it alone may go
        on with; where it cannot, the chat is ``INTERRUPTED`` so that the answer begins anew.

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
                async with contextlib.aclosing(route.model.chat(call)) as events:
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
            left = [r for r in left if turn.may_continue(r.model)]
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
        turn.may_begin_anew = any(
            r.model.condition().state is State.READY
            for r in chain
            if r not in turn.tried or not r.model.can_continue
        )
        return None


class _Turn:
    """What has become of one call so far."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.tried: list[Route] = []
        self.said = call.committed_text
        self._writer = call.committed_model
        self.calls: list[ToolCall] = []
        self.reasons: list[str] = []
        self.may_begin_anew = False
        self._error: EnsembleError | None = None
        self._usage = TokenUsage()
        self._cost: Cost | None = None
        self.written = 0

    def begin(self, route: Route) -> RouterEvent:
        before = self.tried[-1].model.name if self.tried else ""
        self.tried.append(route)
        if self._error is None:
            return Started(route.model.name, route.model.engine)
        return Substituted(before, route.model.name, self._error)

    def may_continue(self, model: Model) -> bool:
        """Return whether ``model`` may go on with what was said: no other one's words."""
        return model.can_continue and self._writer in ("", model.name)

    def note(self, event: ModelEvent) -> None:
        if isinstance(event, TextDelta):
            self.said += event.text
            self._writer = self.tried[-1].model.name
            self.written += event.tokens
        elif isinstance(event, ToolCall):
            self.calls.append(event)

    def failed(self, error: EnsembleError) -> None:
        self._error = error
        self._account(TokenUsage(written=self.written))

    def settle(self, finished: Finished) -> Settled:
        self._account(finished.usage)
        name = self.tried[-1].model.name
        return Settled(finished.stop, self._usage, finished.declined, name, self._cost)

    def completed(self, settled: Settled) -> Completed:
        model = self.tried[-1].model
        wrote = Started(model.name, model.engine)
        return Completed(wrote, self.said, tuple(self.calls), settled)

    def give_up(self) -> Settled:
        """Return the end of a call that nobody can go on with, or raise what it failed with."""
        if self.said and self.may_begin_anew and not self._writer_may_return():
            return Settled(StopReason.INTERRUPTED, self._usage, False, "", self._cost)
        if self._error is not None:
            raise self._error
        reasons = " ".join(dict.fromkeys(self.reasons))
        raise ModelUnavailableError(reasons and f"{reasons} {_ADVICE}")

    def _writer_may_return(self) -> bool:
        """The model that wrote failed in this call, and asked again it can go on."""
        if self._error is None or isinstance(self._error, _NO_FAULT) or self.call.committed_text:
            return False
        return self.may_continue(self.tried[-1].model)

    def _account(self, usage: TokenUsage) -> None:
        self._usage += usage
        cost = self.tried[-1].price.cost_of(usage)
        if cost is not None:
            self._cost = cost if self._cost is None else self._cost + cost


def _replay(call: Call, earlier: Completed) -> list[RouterEvent]:
    rest = earlier.text[len(call.committed_text) :]
    text: list[RouterEvent] = [TextDelta(rest)] if rest else []
    return [earlier.started, *text, *earlier.calls, earlier.settled]
