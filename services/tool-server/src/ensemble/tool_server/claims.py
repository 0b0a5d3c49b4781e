"""Which tool server runs a call that must not be made again, and whether it still does."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import structlog

from ensemble.core.errors import EnsembleError
from ensemble.core.ids import new_id
from ensemble.tool_server.ports import Seen, Thing, World

_LOG = structlog.get_logger()

KIND: Final = "tool-call"
"""Kind of the world model's entities that hold starts and results."""

BEAT: Final = 0.5
"""Seconds between two signs of life of a call under way."""

SILENCE: Final = 2.0
"""Seconds without one after which whoever ran the call is taken for dead."""

_POLL: Final = 0.1


class Claims:
    """Starts of calls, kept in the world model, which takes one for each identity.

    Signs of life are changes of the call's entity: whoever waits for them only has to see that
    something changed, so no two clocks are compared.

    Args:
        world: Where they are kept.
        most: Starts remembered of which it is not known whether they were taken, and calls
            whose server is known to be dead.
    """

    def __init__(self, world: World, most: int) -> None:
        self._world = world
        self._most = most
        self._unsure: dict[str, str] = {}
        self._silent: dict[str, int] = {}

    async def take(self, identity: str, about: Mapping[str, Any]) -> Thing | None:
        """Keep the start of a call; return None where it is the first, else the first start.

        Raises:
            EnsembleError: The world model cannot say whether the call was started before.
        """
        # A try whose answer was lost may have been taken: the next one is known by the same name.
        claim = self._unsure.pop(identity, None) or new_id("claim")
        try:
            (thing,) = await self._world.observe(
                f"{identity}:started", [Seen(KIND, identity, {"claim": claim, **about})]
            )
        except EnsembleError:
            self._put(self._unsure, identity, claim)
            raise
        return None if thing.attributes.get("claim") == claim else thing

    async def ended(self, identity: str, patience: float) -> Thing | None:
        """Wait for the end of a call that another server runs; return how it ended.

        Returns None where it is no longer kept, where whoever ran it has died, and where
        ``patience`` seconds were not enough: how it ended is not known then.

        Raises:
            EnsembleError: The world model cannot be asked.
        """
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        until = heard_at + patience
        sequence = -1
        while things := (await self._world.find(KIND, name=identity)).things:
            (thing,) = things
            if "outcome" in thing.attributes:
                return thing
            now = loop.time()
            if thing.sequence != sequence:
                sequence, heard_at = thing.sequence, now
            if self._silent.get(identity) == sequence or now > heard_at + SILENCE:
                self._put(self._silent, identity, sequence)
                return None
            if now > until:
                return None
            await asyncio.sleep(_POLL)
        return None

    @contextlib.asynccontextmanager
    async def held(self, identity: str) -> AsyncGenerator[None, None]:
        """Show that a call is under way as long as this is open."""
        beating = asyncio.create_task(self._beat(identity), name="claim-beat")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait((beating,))

    async def _beat(self, identity: str) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(BEAT)
            try:
                await self._world.observe("", [Seen(KIND, identity, {"beat": number})])
            except EnsembleError as exc:
                # Whoever waits may give up; the outcome is still kept when there is one.
                _LOG.info("sign of life not kept", reason=exc.reason)

    def _put(self, known: dict[str, Any], identity: str, value: str | int) -> None:
        known[identity] = value
        while len(known) > self._most:
            del known[next(iter(known))]
