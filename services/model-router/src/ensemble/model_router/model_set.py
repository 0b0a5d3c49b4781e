"""The models in use, kept in step with what the registry says."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from ensemble.model_router.adapters.openai import OpenAiModel
from ensemble.model_router.adapters.supervised import SupervisedLlamaModel
from ensemble.model_router.ports import Model
from ensemble.model_router.pricing import Price
from ensemble.model_router.registry import Entry
from ensemble.model_router.router import Route
from ensemble.model_router.settings import Settings

_log = structlog.get_logger(__name__)

_LOOK_AGAIN = 1.0


class ModelSet:
    """Starts, keeps and closes the models of the registry.

    Args:
        entries: Reads the registry; called again every second, so that a GGUF that is
            dropped in or taken out is noticed.
        make: Makes the model of an entry.
    """

    def __init__(
        self, entries: Callable[[], Sequence[Entry]], make: Callable[[Entry], Model]
    ) -> None:
        self._entries = entries
        self._make = make
        self._routes: dict[Entry, Route] = {}
        self._order: tuple[Route, ...] = ()
        self._starting: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[Route]:
        """Return the models in the order in which they are tried."""
        return self._order

    async def start(self) -> None:
        """Start all models, and return when each has or is known not to.

        Raises:
            ConfigurationError: The registry is wrong.
        """
        await self._apply()
        if self._starting:
            await asyncio.wait(self._starting)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Close all models."""
        tasks = [*self._starting, *([self._keeper] if self._keeper else [])]
        self._keeper = None
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        routes, self._routes, self._order = self._order, {}, ()
        await asyncio.gather(*(route.model.close() for route in routes))

    async def _keep(self) -> None:
        problem = ""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                await self._apply()
                problem = ""
            except Exception as error:
                # The models in use stay; a file that stays wrong is told once.
                if str(error) != problem:
                    problem = str(error)
                    _log.error("registry not read again", error=type(error).__name__)

    async def _apply(self) -> None:
        wanted = await asyncio.get_running_loop().run_in_executor(None, self._entries)
        gone = [self._routes.pop(entry) for entry in [*self._routes] if entry not in wanted]
        for entry in wanted:
            if entry not in self._routes:
                route = _route(entry, self._make(entry))
                self._routes[entry] = route
                task = asyncio.create_task(route.model.start())
                self._starting.add(task)
                task.add_done_callback(self._started)
        self._order = tuple(self._routes[entry] for entry in wanted)
        for route in gone:
            await route.model.close()

    def _started(self, task: "asyncio.Task[None]") -> None:
        self._starting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("model not started", error=type(task.exception()).__name__)


def model_maker(settings: Settings) -> Callable[[Entry], Model]:
    """Return what makes the model of an entry."""

    def make(entry: Entry) -> Model:
        if entry.adapter == "openai":
            key = os.environ.get(entry.api_key_env, "") if entry.api_key_env else entry.api_key
            return OpenAiModel(
                entry.name,
                entry.url,
                model=entry.model,
                api_key=key,
                context=entry.context or 0,
                temperature=entry.temperature,
                timeout=settings.request_timeout,
            )
        return _llama_kind(settings)(
            entry.name,
            Path(entry.path),
            context=entry.context or settings.context,
            threads=settings.llama_threads,
        )

    return make


def _llama_kind(settings: Settings) -> Callable[..., Model]:
    if settings.llama_mode == "child":
        return SupervisedLlamaModel
    # Only here: what computes costs numpy, which otherwise the child alone needs.
    from ensemble.model_router.adapters.llama import LlamaModel

    return LlamaModel


def _route(entry: Entry, model: Model) -> Route:
    return Route(
        model=model,
        capabilities=frozenset(entry.capabilities),
        price=Price(entry.currency, entry.input_price, entry.output_price),
        fallback=entry.fallback,
    )
