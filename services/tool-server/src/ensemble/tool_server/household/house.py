"""Rooms and devices, as arguments and as the world model keeps them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from ensemble.tool_server.ports import Seen

RoomName = Literal[
    "kitchen",
    "bedroom",
    "bathroom",
    "living room",
    "dining room",
    "hallway",
    "office",
    "garage",
    "nursery",
    "attic",
    "basement",
    "garden",
    "all",
]
DeviceName = Literal["light", "lamp", "fan", "heater", "radio", "television", "oven", "speaker"]

Room = Annotated[RoomName, msgspec.Meta(description='The room; "all" for every room.')]
Device = Annotated[DeviceName, msgspec.Meta(description="The kind of device.")]

ROOMS: Final[tuple[str, ...]] = tuple(room for room in get_args(RoomName) if room != "all")

KIND: Final = "device"
"""Kind of the world model's entities that are devices."""

DEVICES_SPOKEN: Final = "(lights|lamps|fans|heaters|radios|televisions|ovens|speakers)"
"""Part of a pattern: all devices of one kind."""


def rooms_of(room: str) -> tuple[str, ...]:
    """Return the rooms that ``room`` stands for."""
    return ROOMS if room == "all" else (room,)


def device_name(room: str, device: str) -> str:
    """Return the name of a device in the world model, such as ``kitchen light``."""
    return f"{room} {device}"


def seen(room: str, device: str, attributes: Mapping[str, Any]) -> Iterable[Seen]:
    """Return what to record of ``device`` in ``room``, or in every room."""
    return [Seen(KIND, device_name(one, device), attributes) for one in rooms_of(room)]
