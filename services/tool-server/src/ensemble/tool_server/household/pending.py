"""Timers and reminders in the world model: set, found, cancelled."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from ensemble.core.errors import ToolFailedError
from ensemble.tool_server.alarms import CANCELLED, MOST_PENDING, PENDING, stamp
from ensemble.tool_server.household.spans import span
from ensemble.tool_server.ports import Clock, Seen, Thing, World
from ensemble.tool_server.tool import CallInfo

MOST_LISTED: Final = 5
"""Timers, or reminders, that a list names; its count says how many there are."""

_MOST_AT_ONCE: Final = 200
"""Entities in one observation, below what the world model takes."""


async def find(world: World, kind: str, call: CallInfo) -> list[Thing]:
    """Return what the person of ``call`` has set and is still to come, the oldest first."""
    found = await world.find(
        kind,
        attributes={"status": PENDING, "principal": call.principal},
        limit=MOST_PENDING,
    )
    return sorted(found.things, key=lambda thing: thing.sequence)


async def add(
    world: World,
    clock: Clock,
    kind: str,
    call: CallInfo,
    attributes: dict[str, Any],
) -> datetime:
    """Set a timer or reminder of ``amount`` and ``unit`` and return when it is due, local time.

    A second try of the same call finds the first one's and changes nothing.

    Raises:
        ToolFailedError: There are too many.
    """
    now = clock()
    name = f"{kind}_{call.identity}"
    pending = await find(world, kind, call)
    # In a second try the first one's is among them, or has fired since.
    if len(pending) >= MOST_PENDING and not (await world.find(kind, name=name)).things:
        raise ToolFailedError(f"There are already {MOST_PENDING} {kind}s.")
    due = now + span(attributes["amount"], attributes["unit"])
    seen = Seen(
        kind,
        name,
        {
            **attributes,
            "due_at": stamp(due),
            "session_id": call.session_id,
            "principal": call.principal,
            "status": PENDING,
        },
    )
    (thing,) = await world.observe(f"{call.identity}:set", [seen])
    if thing.removed:
        raise ToolFailedError(f"The {kind} was set before and has been erased since.")
    return datetime.fromisoformat(thing.attributes["due_at"]).astimezone(now.tzinfo)


Choose = Callable[[list[Thing]], Sequence[Thing]]
"""Picks what is meant out of everything that is still to come, the oldest first."""


async def cancel(world: World, kind: str, call: CallInfo, choose: Choose) -> int:
    """Cancel what ``choose`` picks and return how many that were.

    A second try of the same call finds what the first one cancelled and counts that.
    """
    mine = {"principal": call.principal, "cancelled_by": call.identity}
    done = len((await world.find(kind, attributes=mine, limit=MOST_PENDING)).things)
    if done % _MOST_AT_ONCE:
        return done
    things = choose(await find(world, kind, call))
    for first in range(0, len(things), _MOST_AT_ONCE):
        seen = [
            Seen(kind, thing.name, {"status": CANCELLED, "cancelled_by": call.identity})
            for thing in things[first : first + _MOST_AT_ONCE]
        ]
        await world.observe(f"{call.identity}:cancel{done + first}", seen)
    return done + len(things)
