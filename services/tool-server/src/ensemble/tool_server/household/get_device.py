"""Says how a device is."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ensemble.tool_server.household import house
from ensemble.tool_server.ports import World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool


class GetDeviceArguments(Arguments, frozen=True):
    """What to look at."""

    room: house.Room
    device: house.Device


class GetDeviceResult(Result, frozen=True):
    """How it is: "on", "off" or "unknown", and its level if it is on and has one."""

    room: str
    device: str
    state: str
    level: int | msgspec.UnsetType = msgspec.UNSET


class GetDevice(Tool[GetDeviceArguments, GetDeviceResult]):
    """Reads the state of a device from the world model."""

    name = "get_device"
    description = (
        "Says whether a device in a room is on or off and at which level; "
        'for "all" rooms what those known have in common, unknown where they differ.'
    )
    arguments = GetDeviceArguments
    result = GetDeviceResult
    idempotent = True
    read_only = True
    examples = ('{"room": "kitchen", "device": "light"}',)
    utterances = (
        "is the {room} {device} [still|turned|switched] (on|off)",
        "is the {device} in the {room} [still] (on|off)",
        "is the {device} [still] (on|off) in the {room}",
        "is the {room} {device} on or off",
        "is the {room} {device} running",
        "did i turn (on|off) the {room} {device}",
        "did i leave the {room} {device} on",
        "did i leave the {device} on in the {room}",
        "(can you tell me|tell me|do you know) (if|whether) the {room} {device} is on",
        "check the {room} {device}",
        "what is the (state|status|level) of the {room} {device}",
        "how (bright|loud) is the {room} {device}",
        f"are (the|any|all) {house.DEVICES_SPOKEN} [still] (on|off)",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: GetDeviceArguments, call: CallInfo) -> GetDeviceResult:
        """Look it up."""
        known = [
            thing.attributes
            for room in house.rooms_of(arguments.room)
            for thing in (
                await self._world.find(house.KIND, name=house.device_name(room, arguments.device))
            ).things
        ]
        state, level = _summary(known)
        return GetDeviceResult(arguments.room, arguments.device, state, level)


def _summary(known: list[Mapping[str, Any]]) -> tuple[str, int | msgspec.UnsetType]:
    """Return the state and level that all of ``known`` have in common."""
    states = {str(attributes.get("state", "unknown")) for attributes in known}
    if states == {"off"}:
        return "off", msgspec.UNSET
    if states != {"on"}:
        return "unknown", msgspec.UNSET
    levels = {attributes.get("level") for attributes in known}
    level = levels.pop() if len(levels) == 1 else None
    return "on", level if isinstance(level, int) else msgspec.UNSET
