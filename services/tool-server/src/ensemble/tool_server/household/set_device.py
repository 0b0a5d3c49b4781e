"""Switches a device."""

from typing import Annotated, Literal

import msgspec

from ensemble.tool_server.household import house
from ensemble.tool_server.ports import World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool

State = Literal["on", "off"]


class SetDeviceArguments(Arguments, frozen=True):
    """What to switch, and how."""

    room: house.Room
    device: house.Device
    state: Annotated[State, msgspec.Meta(description="Whether it should be on or off.")]


class SetDeviceResult(Result, frozen=True):
    """How it is now."""

    room: str
    device: str
    state: str


class SetDevice(Tool[SetDeviceArguments, SetDeviceResult]):
    """Records the state of a device in the world model."""

    name = "set_device"
    description = "Turns a device in a room, or in all rooms, on or off."
    arguments = SetDeviceArguments
    result = SetDeviceResult
    idempotent = True
    examples = (
        '{"room": "kitchen", "device": "light", "state": "on"}',
        '{"room": "all", "device": "heater", "state": "off"}',
    )
    utterances = (
        "[please|can you|could you|would you] (turn|switch) {state} the {room} {device} [please]",
        "[please|can you|could you|would you] (turn|switch) the {room} {device} {state} [please]",
        "[please|can you|could you] (turn|switch) {state} the {device} in the {room} [please]",
        "[please|can you|could you] (turn|switch) the {device} in the {room} {state} [please]",
        "[please] put the {room} {device} {state} [please]",
        "{room} {device} {state} [please]",
        "{device} {state} in the {room}",
        "(i want|i would like) the {room} {device} {state}",
        "make sure the {room} {device} is {state}",
        "[please] (start|activate) the {room} {device} [please]",
        "[please] (stop|deactivate|shut off) the {room} {device} [please]",
        f"[please|can you|could you] (turn|switch) {{state}} all the {house.DEVICES_SPOKEN}",
        f"[please|can you|could you] (turn|switch) all the {house.DEVICES_SPOKEN} {{state}}",
        f"(turn|switch) {{state}} the {house.DEVICES_SPOKEN} everywhere",
        f"all {house.DEVICES_SPOKEN} {{state}}",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: SetDeviceArguments, call: CallInfo) -> SetDeviceResult:
        """Record it."""
        seen = house.seen(arguments.room, arguments.device, {"state": arguments.state})
        await self._world.observe(f"{call.identity}:set", list(seen))
        return SetDeviceResult(arguments.room, arguments.device, arguments.state)
