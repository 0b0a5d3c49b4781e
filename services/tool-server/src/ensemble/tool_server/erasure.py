"""Erasing what tools keep of one person."""

from typing import Final

from ensemble.core.errors import InvalidArgumentError
from ensemble.tool_server.alarms import KINDS, PENDING
from ensemble.tool_server.claims import KIND as CALL
from ensemble.tool_server.household.remember import KIND as MEMORY
from ensemble.tool_server.ledger import Ledger
from ensemble.tool_server.ports import Seen, World

_MOST_AT_ONCE: Final = 200
"""Entities in one observation, below what the world model takes."""


async def erase(world: World, kept: Ledger, principal: str, session_id: str = "") -> int:
    """Erase what ``principal``, who is being served, left behind; return how many things.

    With ``session_id`` only results of calls that this session made; without, also what was
    remembered, timers and reminders. Devices stay as they are. A call that must not be repeated
    and whose record is gone is still not made again.

    Raises:
        InvalidArgumentError: It is not known who asks.
        EnsembleError: The world model cannot be reached; erase again.
    """
    if not principal:
        raise InvalidArgumentError("Nobody in particular calls, so nothing is theirs.")
    kept.forget(principal, session_id)
    if session_id:
        return await world.erase([CALL], {"session_id": session_id})
    await _call_off(world, principal)
    return await world.erase([MEMORY, *KINDS, CALL], {})


async def _call_off(world: World, principal: str) -> None:
    """Remove what is still to come, so that everybody who waits for it hears of that by name."""
    wanted = {"status": PENDING, "principal": principal}
    for kind in KINDS:
        while things := (await world.find(kind, attributes=wanted, limit=_MOST_AT_ONCE)).things:
            await world.observe("", [Seen(kind, thing.name, removed=True) for thing in things])
