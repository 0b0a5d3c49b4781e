"""Results of calls that were made before."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError, InvalidArgumentError
from ensemble.tool_server.outcome import Outcome
from ensemble.tool_server.ports import Seen, Thing, World

_LOG = structlog.get_logger()

KIND: Final = "tool-call"
"""Kind of the world model's entities that hold the results."""


def fingerprint(tool: str, arguments_json: str) -> str:
    """Return what tells two calls with one key apart."""
    return hashlib.sha256(f"{tool}\0{arguments_json}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Work:
    """One call with an idempotency key.

    Attributes:
        identity: Who asked and the key, see ``tool.identity_of``.
        fingerprint: Of the tool and its arguments.
        durable: Whether the result must outlive this process: running twice would do harm.
        run: Does the work.
        started: Told before the outcome is known whether it is one of an earlier call.
    """

    identity: str
    fingerprint: str
    durable: bool
    run: Callable[[], Awaitable[Outcome]]
    started: Callable[[bool], Awaitable[None]]


@dataclass(frozen=True)
class _Kept:
    fingerprint: str
    outcome: Outcome
    durable: bool


class Ledger:
    """Runs each keyed call once, however often it is asked for.

    Results of calls that must not run twice are kept in the world model as well, so that a
    restarted server knows them.

    Args:
        world: Where they are kept.
        keep: Results kept at most; the oldest make room.
    """

    def __init__(self, world: World, keep: int) -> None:
        self._world = world
        self._keep = keep
        self._kept: dict[str, _Kept] = {}
        self._running: dict[str, asyncio.Future[None]] = {}
        self._loaded = False

    async def run(self, work: Work) -> Outcome:
        """Return the outcome of the earlier call with this key, or do the work.

        Raises:
            InvalidArgumentError: The key belongs to another call.
            EnsembleError: The world model cannot say whether the call was made before.
        """
        while (running := self._running.get(work.identity)) is not None:
            await asyncio.wait((running,))
        mine = self._running[work.identity] = asyncio.get_running_loop().create_future()
        try:
            known = self._kept.get(work.identity)
            if known is None and work.durable:
                known = await self._recall(work.identity)
            if known is not None:
                if known.fingerprint != work.fingerprint:
                    raise InvalidArgumentError(
                        "This idempotency key was used for another call.",
                        violations={"start.context.idempotency_key": "used for another call"},
                    )
                await work.started(True)
                return known.outcome
            await work.started(False)
            outcome = await work.run()
            if outcome.final:
                await self._store(work, outcome)
            return outcome
        finally:
            del self._running[work.identity]
            mine.set_result(None)

    async def _recall(self, identity: str) -> _Kept | None:
        if not self._loaded:
            found = await self._world.find(KIND, limit=self._keep)
            for thing in sorted(found.things, key=lambda thing: thing.sequence):
                self._kept.setdefault(thing.name, _from_thing(thing))
            self._loaded = True
        elif things := (await self._world.find(KIND, name=identity)).things:
            # Another tool server has run it.
            self._kept[identity] = _from_thing(things[0])
        return self._kept.get(identity)

    async def _store(self, work: Work, outcome: Outcome) -> None:
        self._kept[work.identity] = _Kept(work.fingerprint, outcome, work.durable)
        forgotten = []
        while len(self._kept) > self._keep:
            oldest = next(iter(self._kept))
            if self._kept.pop(oldest).durable:
                forgotten.append(Seen(KIND, oldest, removed=True))
        if not work.durable:
            return
        seen = Seen(
            KIND,
            work.identity,
            {"fingerprint": work.fingerprint, "outcome": outcome.stored()},
        )
        try:
            await self._world.observe(f"{work.identity}:kept", [seen, *forgotten[:100]])
        except EnsembleError as exc:
            # The tool has done its work; only a second try after a restart would look at this,
            # and the effects are named by the call's identity.
            _LOG.warning("result of a tool call not kept", reason=exc.reason)


def _from_thing(thing: Thing) -> _Kept:
    return _Kept(
        str(thing.attributes.get("fingerprint", "")),
        Outcome.from_stored(dict(thing.attributes.get("outcome") or {"error": "INTERNAL"})),
        durable=True,
    )
