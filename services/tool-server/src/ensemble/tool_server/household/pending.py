"""Timers and reminders in the world model: set, found, cancelled."""

from collections.abc import Sequence
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
    if len(await find(world, kind, call)) >= MOST_PENDING:
        raise ToolFailedError(f"There are already {MOST_PENDING} {kind}s.")
    due = now + span(attributes["amount"], attributes["unit"])
    seen = Seen(
        kind,
        f"{kind}_{call.identity}",
        {
            **attributes,
            "due_at": stamp(due),
            "session_id": call.session_id,
            "principal": call.principal,
            "status": PENDING,
        },
    )
    (thing,) = await world.observe(f"{call.identity}:set", [seen])
    return datetime.fromisoformat(thing.attributes["due_at"]).astimezone(now.tzinfo)


async def cancel(world: World, call: CallInfo, things: Sequence[Thing]) -> int:
    """Cancel ``things`` and return how many that were."""
    for first in range(0, len(things), _MOST_AT_ONCE):
        seen = [
            Seen(thing.kind, thing.name, {"status": CANCELLED})
            for thing in things[first : first + _MOST_AT_ONCE]
        ]
        await world.observe(f"{call.identity}:cancel{first}", seen)
    return len(things)
