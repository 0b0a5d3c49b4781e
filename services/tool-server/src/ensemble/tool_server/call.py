"""One tool call from its start to its end, as events."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import structlog

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EnsembleError, InvalidArgumentError, ToolOutcomeUnknownError
from ensemble.tool_server.execution import cut_short, execute
from ensemble.tool_server.ledger import Ledger, Work
from ensemble.tool_server.outcome import Outcome
from ensemble.tool_server.tool import Arguments, CallInfo
from ensemble.tool_server.toolbox import AnyTool

_LOG = structlog.get_logger()

_EVENTS_WAITING: Final = 8
"""Events that may wait for a slow caller; the tool waits when there are as many."""

_CANCEL_GRACE: Final = 1.0
"""Seconds a tool has to stop in after a cancel; the call ends whether it has or not."""


@dataclass(frozen=True)
class Started:
    """The tool runs, or the result of an earlier call follows."""

    replayed: bool


@dataclass(frozen=True)
class Progress:
    """How far it is."""

    done: float
    total: float
    message: str


@dataclass(frozen=True)
class Ended:
    """The outcome; None after a cancel."""

    outcome: Outcome | None


Event = Started | Progress | Ended


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        tool: The tool.
        arguments: Its arguments, checked.
        fingerprint: Of the tool and its arguments.
        identity: See ``tool.identity_of``.
        keyed: Whether the caller gave an idempotency key.
        session_id: Session it is for; may be empty.
        principal: Who asks; may be empty.
        limit: Seconds it may run.
        initial_credit: Progress events that may be sent at first; 0 for no limit.
    """

    tool: AnyTool
    arguments: Arguments
    fingerprint: str
    identity: str
    keyed: bool
    session_id: str
    principal: str
    limit: float
    initial_credit: int


class ToolCall:
    """Runs one request; ``events`` is read once, the other methods are called meanwhile."""

    def __init__(self, request: Request, ledger: Ledger) -> None:
        self._request = request
        self._ledger = ledger
        self._credit = CreditWindow(request.initial_credit)
        self._events: asyncio.Queue[Event | EnsembleError] = asyncio.Queue(_EVENTS_WAITING)
        self._stop = asyncio.Event()
        self._refusal: EnsembleError | None = None
        self._has_started = False
        self._left = False

    def grant(self, events: int) -> None:
        """Allow so many progress events more."""
        self._credit.grant(events)

    def cancel(self) -> None:
        """Stop the tool; the call then ends without an outcome."""
        self._stop.set()

    def refuse(self, error: EnsembleError) -> None:
        """Stop the tool; ``events`` then raises ``error``."""
        self._refusal = error
        self._stop.set()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield what happens; ``Ended`` is the last.

        A caller who stops reading stops the tool, unless it has a key and must not be repeated:
        that one goes on to its end, which is kept for whoever asks with the key again.

        Raises:
            InvalidArgumentError: The idempotency key belongs to another call.
        """
        work = asyncio.create_task(self._work())
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, EnsembleError):
                    raise event
                yield event
                if isinstance(event, Ended):
                    return
        finally:
            self._leave()
            work.cancel()
            await asyncio.wait((work,), timeout=2 * _CANCEL_GRACE)

    def _leave(self) -> None:
        # A tool that goes on must not wait for a reader who is gone.
        self._left = True
        self._credit.grant(1 << 31)
        while not self._events.empty():
            self._events.get_nowait()

    async def _work(self) -> None:
        run = asyncio.create_task(self._run())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((run, stop), return_when=asyncio.FIRST_COMPLETED)
            await self._events.put(await self._end(run))
        finally:
            stop.cancel()
            run.cancel()
            await asyncio.wait((run, stop), timeout=_CANCEL_GRACE)

    async def _end(self, run: asyncio.Task[Outcome]) -> Event | EnsembleError:
        if not run.done():
            run.cancel()
            await asyncio.wait((run,), timeout=_CANCEL_GRACE)
            return self._refusal or Ended(None)
        try:
            return Ended(run.result())
        except EnsembleError as exc:
            return exc
        except Exception as exc:
            _LOG.warning("tool call broke", tool=self._request.tool.name, error=type(exc).__name__)
            return EnsembleError()

    async def _run(self) -> Outcome:
        request = self._request
        try:
            if request.keyed:
                outcome = await self._ledger.run(self._keyed_work())
            else:
                await self._started(False)
                outcome = await self._execute()
        except InvalidArgumentError:
            raise
        except EnsembleError as exc:
            outcome = Outcome(error=exc)
        if not self._has_started:
            await self._started(False)
        return outcome

    def _keyed_work(self) -> Work:
        request = self._request
        tool = request.tool
        return Work(
            identity=request.identity,
            fingerprint=request.fingerprint,
            principal=request.principal,
            session_id=request.session_id,
            durable=not (tool.idempotent or tool.read_only),
            once=not tool.repeatable,
            patience=request.limit,
            run=self._execute,
            started=self._started,
        )

    async def _execute(self) -> Outcome:
        request = self._request
        info = CallInfo(request.session_id, request.principal, request.identity, self._report)
        running = asyncio.create_task(execute(request.tool, request.arguments, info))
        # Work that goes on without its caller is stopped from here; other work is cancelled.
        stop = asyncio.create_task(self._stop.wait())
        awaited = {running} if request.tool.repeatable else {running, stop}
        try:
            await asyncio.wait(awaited, timeout=request.limit, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            if stop.done():
                return Outcome(error=ToolOutcomeUnknownError())
            return Outcome(error=cut_short(request.tool, request.limit))
        finally:
            running.cancel()
            stop.cancel()
            await asyncio.wait((running, stop), timeout=_CANCEL_GRACE)

    async def _started(self, replayed: bool) -> None:
        self._has_started = True
        if not self._left:
            await self._events.put(Started(replayed))

    async def _report(self, done: float, total: float, message: str) -> None:
        await self._credit.take()
        if not self._left:
            await self._events.put(Progress(done, total, message))
