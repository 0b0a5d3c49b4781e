"""Results of calls that were made before, and starts of calls that must not be made again."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ensemble.core.errors import (
    EnsembleError,
    InvalidArgumentError,
    ToolOutcomeUnknownError,
)
from ensemble.tool_server.claims import KIND, Claims
from ensemble.tool_server.outcome import Outcome
from ensemble.tool_server.ports import Seen, Thing, World
from ensemble.transport.context import deadline

_LOG = structlog.get_logger()

_PAUSES: Final = (0.1, 0.4, 1.0)
"""Seconds between tries to keep the result of a call that must not be made again."""

_CLOSE_SECONDS: Final = 3.0
"""Seconds that calls without a caller may still take when the server ends."""


def fingerprint(tool: str, arguments_json: str) -> str:
    """Return what tells two calls with one key apart."""
    return hashlib.sha256(f"{tool}\0{arguments_json}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Work:
    """One call with an idempotency key.

    Attributes:
        identity: Who asked and the key, see ``tool.identity_of``.
        fingerprint: Of the tool and its arguments.
        principal: Who asked; may be empty.
        session_id: Session it is for; may be empty.
        durable: Whether the result must outlive this process.
        once: Whether it must not be started again, whatever became of the first start.
        patience: Seconds to wait for its end where another tool server runs it.
        run: Does the work.
        started: Told before the outcome is known whether it is one of an earlier call.
    """

    identity: str
    fingerprint: str
    principal: str
    session_id: str
    durable: bool
    once: bool
    patience: float
    run: Callable[[], Awaitable[Outcome]]
    started: Callable[[bool], Awaitable[None]]


@dataclass(frozen=True)
class _Kept:
    fingerprint: str
    principal: str
    session_id: str
    outcome: Outcome | None
    durable: bool


class Ledger:
    """Runs each keyed call once, however often it is asked for.

    Results of calls that change something are kept in the world model, so that a restarted
    server knows them, and another server too. The start of a call that must not be made again
    is kept there before it runs; the world model takes one start for each identity, so of
    several servers that get the key at the same time one runs it. Such a call goes on when its
    caller is gone, and a caller who comes back with the key waits for it, at whichever server.

    Args:
        world: Where they are kept.
        keep: Results kept at most; the oldest make room. A start that made room is still
            known to the world model, and its call is not made again.
    """

    def __init__(self, world: World, keep: int) -> None:
        self._world = world
        self._keep = keep
        self._kept: dict[str, _Kept] = {}
        self._running: dict[str, asyncio.Future[None]] = {}
        self._owned: set[asyncio.Task[Outcome]] = set()
        self._claims = Claims(world, keep)
        self._loaded = False

    async def run(self, work: Work) -> Outcome:
        """Return the outcome of the earlier call with this key, or do the work.

        Raises:
            InvalidArgumentError: The key belongs to another call.
            EnsembleError: The world model cannot say whether the call was made before.
        """
        if not work.once:
            return await self._alone(work)
        task = asyncio.create_task(self._without_caller(work))
        self._owned.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def forget(self, principal: str, session_id: str = "") -> int:
        """Drop from memory what is kept of a person, or of one session; return how much."""
        gone = [
            identity
            for identity, kept in self._kept.items()
            if kept.principal == principal and session_id in ("", kept.session_id)
        ]
        for identity in gone:
            del self._kept[identity]
        return len(gone)

    async def close(self) -> None:
        """Let calls without a caller end, for a short time."""
        if self._owned:
            await asyncio.wait(self._owned, timeout=_CLOSE_SECONDS)
        for task in self._owned:
            task.cancel()
        if self._owned:
            await asyncio.wait(self._owned, timeout=_CLOSE_SECONDS)

    async def _without_caller(self, work: Work) -> Outcome:
        # The caller's deadline is no reason to leave the work half done.
        deadline.set(None)
        return await self._alone(work)

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        self._owned.discard(task)
        # Its caller may be gone: nobody else asks how it ended.
        if not task.cancelled():
            task.exception()

    async def _alone(self, work: Work) -> Outcome:
        while (running := self._running.get(work.identity)) is not None:
            await asyncio.wait((running,))
        mine = self._running[work.identity] = asyncio.get_running_loop().create_future()
        try:
            known = await self._known(work)
            if known is None:
                return await self._do(work)
            if known.fingerprint not in ("", work.fingerprint):
                raise InvalidArgumentError(
                    "This idempotency key was used for another call.",
                    violations={"start.context.idempotency_key": "used for another call"},
                )
            await work.started(True)
            return known.outcome or await self._elsewhere(work)
        finally:
            del self._running[work.identity]
            mine.set_result(None)

    async def _known(self, work: Work) -> _Kept | None:
        """Return what is known of an earlier call; its outcome may be missing."""
        known = self._kept.get(work.identity)
        if known is None and work.once:
            first = await self._claims.take(work.identity, _facts(work))
            return _from_thing(first) if first is not None else None
        if known is None and work.durable:
            return await self._recall(work.identity)
        return known

    async def _elsewhere(self, work: Work) -> Outcome:
        thing = await self._claims.ended(work.identity, work.patience)
        known = _from_thing(thing) if thing is not None else None
        return (known and known.outcome) or Outcome(error=ToolOutcomeUnknownError())

    async def _do(self, work: Work) -> Outcome:
        if not work.once:
            await work.started(False)
            outcome = await work.run()
            if outcome.final:
                await self._store(work, outcome)
            return outcome
        # From here on nothing but the outcome itself makes it known.
        self._remember(work, Outcome(error=ToolOutcomeUnknownError()))
        async with self._claims.held(work.identity):
            await work.started(False)
            outcome = await work.run()
            await self._store(work, outcome)
        return outcome

    async def _recall(self, identity: str) -> _Kept | None:
        if not self._loaded:
            found = await self._world.find(KIND, limit=self._keep)
            for thing in sorted(found.things, key=lambda thing: thing.sequence):
                self._learn(thing)
            self._loaded = True
        if identity not in self._kept:
            # Another tool server may have run it.
            for thing in (await self._world.find(KIND, name=identity)).things:
                self._learn(thing)
        return self._kept.get(identity)

    def _learn(self, thing: Thing) -> None:
        # A start without an outcome may still get one.
        if "outcome" in thing.attributes:
            self._kept.setdefault(thing.name, _from_thing(thing))

    def _remember(self, work: Work, outcome: Outcome) -> None:
        self._kept.pop(work.identity, None)
        self._kept[work.identity] = _Kept(
            work.fingerprint, work.principal, work.session_id, outcome, work.durable
        )

    def _make_room(self) -> list[Seen]:
        """Forget the oldest; return those that the world model need not keep any more."""
        forgotten = []
        while len(self._kept) > self._keep:
            oldest = next(iter(self._kept))
            if self._kept.pop(oldest).durable:
                forgotten.append(Seen(KIND, oldest, removed=True))
        return forgotten

    async def _store(self, work: Work, outcome: Outcome) -> None:
        self._remember(work, outcome)
        forgotten = self._make_room()
        if not work.durable:
            return
        seen = Seen(
            KIND, work.identity, {**_facts(work), "beat": None, "outcome": outcome.stored()}
        )
        pauses = list(_PAUSES) if work.once else []
        while True:
            try:
                await self._world.observe(f"{work.identity}:kept", [seen, *forgotten[:100]])
            except EnsembleError as exc:
                if pauses:
                    await asyncio.sleep(pauses.pop(0))
                    continue
                # The tool has done its work and this process knows how it ended. After a
                # restart, one that must not be repeated counts as unknown.
                _LOG.warning("result of a tool call not kept", reason=exc.reason)
            return


def _facts(work: Work) -> dict[str, Any]:
    return {
        "fingerprint": work.fingerprint,
        "principal": work.principal,
        "session_id": work.session_id,
    }


def _from_thing(thing: Thing) -> _Kept:
    known = thing.attributes
    stored = known.get("outcome")
    return _Kept(
        str(known.get("fingerprint", "")),
        str(known.get("principal", "")),
        str(known.get("session_id", "")),
        Outcome.from_stored(dict(stored)) if stored else None,
        durable=True,
    )
