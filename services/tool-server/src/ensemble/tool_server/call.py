"""One tool call from its start to its end, as events."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import structlog

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EnsembleError, InvalidArgumentError
from ensemble.tool_server.execution import execute, timed_out
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
            work.cancel()
            await asyncio.wait((work,), timeout=2 * _CANCEL_GRACE)

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
            async with asyncio.timeout(request.limit):
                return await self._outcome()
        except InvalidArgumentError:
            raise
        except EnsembleError as exc:
            outcome = Outcome(error=exc)
        except TimeoutError:
            outcome = Outcome(error=timed_out(request.tool.name, request.limit))
        if not self._has_started:
            await self._started(False)
        return outcome

    async def _outcome(self) -> Outcome:
        request = self._request
        if not request.keyed:
            await self._started(False)
            return await self._execute()
        return await self._ledger.run(
            Work(
                identity=request.identity,
                fingerprint=request.fingerprint,
                durable=not (request.tool.idempotent or request.tool.read_only),
                run=self._execute,
                started=self._started,
            )
        )

    async def _execute(self) -> Outcome:
        request = self._request
        info = CallInfo(request.session_id, request.principal, request.identity, self._report)
        return await execute(request.tool, request.arguments, info)

    async def _started(self, replayed: bool) -> None:
        self._has_started = True
        await self._events.put(Started(replayed))

    async def _report(self, done: float, total: float, message: str) -> None:
        await self._credit.take()
        await self._events.put(Progress(done, total, message))
