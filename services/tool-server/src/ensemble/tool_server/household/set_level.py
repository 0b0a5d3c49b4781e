"""Sets how strongly a device works."""

from typing import Annotated

import msgspec

from ensemble.tool_server.household import house
from ensemble.tool_server.ports import World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool


class SetLevelArguments(Arguments, frozen=True):
    """What to set, and to what."""

    room: house.Room
    device: house.Device
    level: Annotated[int, msgspec.Meta(ge=0, le=100, description="Percent; 0 turns it off.")]


class SetLevelResult(Result, frozen=True):
    """How it is now."""

    room: str
    device: str
    level: int


class SetLevel(Tool[SetLevelArguments, SetLevelResult]):
    """Records the level of a device, which switches it on, or off at 0."""

    name = "set_level"
    description = (
        "Sets the brightness, volume or power of a device in a room, or in all rooms, in percent."
    )
    arguments = SetLevelArguments
    result = SetLevelResult
    idempotent = True
    examples = (
        '{"room": "living room", "device": "lamp", "level": 35}',
        '{"room": "all", "device": "light", "level": 0}',
    )
    utterances = (
        "[please|can you|could you] (set|turn|dim|change) the {room} {device} to {level} [percent]"
        " [please]",
        "[please|can you|could you] (set|dim) the {device} in the {room} to {level} [percent]"
        " [please]",
        "(turn|bring) the {room} {device} (up|down) to {level} [percent]",
        "(lower|raise|reduce|increase) the {room} {device} to {level} [percent]",
        "set the (brightness|volume|power|level) of the {room} {device} to {level} [percent]",
        "{room} {device} [to|at] {level} percent",
        "(i want|i would like) the {room} {device} at {level} percent",
        f"(set|dim) all the {house.DEVICES_SPOKEN} to {{level}} [percent]",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: SetLevelArguments, call: CallInfo) -> SetLevelResult:
        """Record it."""
        attributes = {
            "state": "on" if arguments.level else "off",
            "level": arguments.level or None,
        }
        seen = house.seen(arguments.room, arguments.device, attributes)
        await self._world.observe(f"{call.identity}:set", list(seen))
        return SetLevelResult(arguments.room, arguments.device, arguments.level)
