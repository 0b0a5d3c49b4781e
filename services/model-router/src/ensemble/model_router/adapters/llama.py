"""llama.cpp in this process: one model, one thread that owns it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from ensemble.core.errors import EngineFailedError, EnsembleError, RateLimitedError
from ensemble.model_router.adapters.answer import Answer
from ensemble.model_router.adapters.llama_engine import Generated, LlamaEngine
from ensemble.model_router.domain import Call, ModelEvent, StopReason, TokenUsage
from ensemble.model_router.ports import Condition, State

_log = structlog.get_logger(__name__)

_MAX_WAITING = 1024


class LlamaModel:
    """A GGUF that runs in this process.

    Calls are answered one after the other, in the order in which they came.

    Args:
        name: Name in the registry.
        path: The GGUF.
        context: Tokens to read and write together at most.
        threads: Threads that compute.
    """

    engine = "llama.cpp"
    can_continue = True

    def __init__(self, name: str, path: Path, *, context: int, threads: int) -> None:
        self._name = name
        self._path = path
        self._context = context
        self._threads = threads
        self._loaded: LlamaEngine | None = None
        self._owner: ThreadPoolExecutor | None = None
        self._condition = Condition(State.STARTING, "The model is being loaded.")
        self._failed_stamp: object = None
        self._waiting = 0
        self._loading = asyncio.Lock()

    @property
    def name(self) -> str:
        """Name in the registry."""
        return self._name

    @property
    def context_tokens(self) -> int:
        """Tokens it can read and write together."""
        return self._loaded.context_tokens if self._loaded else self._context

    def condition(self) -> Condition:
        """Return whether it can answer now."""
        if not self._path.is_file():
            return Condition(State.UNAVAILABLE, f"The model file {self._path.name} is missing.")
        if self._condition.state is State.UNAVAILABLE and self._stamp() != self._failed_stamp:
            return Condition(State.STARTING, "The model file has changed.")
        return self._condition

    async def start(self) -> None:
        """Load the model."""
        async with self._loading:
            if self._loaded is not None:
                return
            owner = ThreadPoolExecutor(1, thread_name_prefix=f"llama-{self._name}")
            stamp = self._stamp()
            loop = asyncio.get_running_loop()
            try:
                self._loaded = await loop.run_in_executor(owner, self._load)
            except EnsembleError as error:
                owner.shutdown(wait=False)
                self._failed_stamp = stamp
                self._condition = Condition(State.UNAVAILABLE, error.message)
                return
            self._owner = owner
            self._condition = Condition(State.READY)

    async def ready(self, timeout: float) -> bool:
        """Load the model if it is not loaded and its file is there again."""
        if self._loaded is None and self.condition().state is State.STARTING:
            await self.start()
        return self.condition().state is State.READY

    async def close(self) -> None:
        """Free the model, after the call under way."""
        if self._owner is not None and self._loaded is not None:
            owner, self._owner = self._owner, None
            loaded, self._loaded = self._loaded, None
            await asyncio.get_running_loop().run_in_executor(owner, loaded.close)
            owner.shutdown(wait=False)

    async def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
        """Answer on the owner thread; see ``Model.chat``."""
        loaded, owner = self._loaded, self._owner
        if loaded is None or owner is None:
            raise EngineFailedError("The model is not loaded.")
        if self._waiting >= _MAX_WAITING:
            raise RateLimitedError("Too many calls wait for this model; try again later.")
        stop = threading.Event()
        pending = _Pending(asyncio.get_running_loop())
        answer = Answer(call)
        job = owner.submit(loaded.generate, call, stop.is_set, pending.add)
        work = asyncio.wrap_future(job)
        work.add_done_callback(pending.ended)
        cancelled = asyncio.ensure_future(call.cancelled.wait())
        cancelled.add_done_callback(pending.ended)
        self._waiting += 1
        try:
            while not work.done():
                await pending.changed()
                if call.cancelled.is_set():
                    stop.set()
                    job.cancel()
                for event in pending.take(answer):
                    yield event
                if answer.may_stop:
                    stop.set()
            generated = await _outcome(work)
            for event in pending.take(answer):
                yield event
            reason = generated.stop
            if reason is StopReason.CANCELLED and not call.cancelled.is_set():
                reason = StopReason.COMPLETED
            for event in answer.finish(reason, generated.usage):
                yield event
        finally:
            self._waiting -= 1
            stop.set()
            cancelled.cancel()
            job.cancel()

    def _load(self) -> LlamaEngine:
        return LlamaEngine(self._path, context=self._context, threads=self._threads)

    def _stamp(self) -> object:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


async def _outcome(work: "asyncio.Future[Generated]") -> Generated:
    if work.cancelled():
        return Generated(StopReason.CANCELLED, TokenUsage())
    try:
        return await work
    except EnsembleError:
        raise
    except Exception as error:  # llama.cpp reports its failures by several types
        _log.warning("llama.cpp failed", error=type(error).__name__)
        raise EngineFailedError from None


class _Pending:
    """Text on its way from the owner thread to the loop.

    It holds at most one answer, which the model's context bounds: a consumer that is slow
    must not keep the model from the next caller.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._texts: list[str] = []
        self._tokens = 0
        self._changed = asyncio.Event()

    def add(self, text: str, tokens: int) -> None:
        """Add text; called on the owner thread."""
        with self._lock:
            first = not self._texts
            self._texts.append(text)
            self._tokens += tokens
        if first:
            self._loop.call_soon_threadsafe(self._changed.set)

    def ended(self, work: "asyncio.Future[Any]") -> None:
        """Let ``changed`` return because ``work`` is over."""
        if not work.cancelled():
            work.exception()  # fetched here too, for when nobody waits for it any more
        self._changed.set()

    async def changed(self) -> None:
        """Wait until there is something new."""
        await self._changed.wait()
        self._changed.clear()

    def take(self, answer: Answer) -> Iterator[ModelEvent]:
        """Give what came since the last time to ``answer``, as one piece."""
        with self._lock:
            texts, self._texts = self._texts, []
            tokens, self._tokens = self._tokens, 0
        if texts:
            yield from answer.text("".join(texts), tokens)
