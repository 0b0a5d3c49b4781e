"""Amounts of time, as arguments and as people say them."""

from datetime import timedelta
from typing import Annotated, Final, Literal

import msgspec

UnitName = Literal["second", "minute", "hour"]
Amount = Annotated[int, msgspec.Meta(ge=1, le=120, description="How many of the unit.")]
Unit = Annotated[UnitName, msgspec.Meta(description="The unit of time.")]

SPAN: Final = "{amount} (second|seconds|minute|minutes|hour|hours)"
"""Part of a pattern: an amount of time on its own, such as "five minutes"."""

SPANNED: Final = "{amount} {unit}"
"""Part of a pattern: an amount of time before a noun, such as "five minute"."""

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600}


_LONGEST_IN_MINUTES: Final = 119
"""Up to here what is left is said in minutes, as timers are."""


def span(amount: int, unit: str) -> timedelta:
    """Return the time that ``amount`` of ``unit`` is."""
    return timedelta(seconds=amount * _SECONDS[unit])


def left(time: timedelta) -> str:
    """Return ``time`` as people say what is left: ``4 minutes``, ``2 hours 30 minutes``.

    What has begun counts as whole, so a timer just set still has all of its time.
    """
    seconds = max(1, -(-time // timedelta(seconds=1)))
    if seconds < 60:
        return _counted(seconds, "second")
    minutes = -(-seconds // 60)
    if minutes <= _LONGEST_IN_MINUTES:
        return _counted(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    return _counted(hours, "hour") + (f" {_counted(rest, 'minute')}" if rest else "")


def _counted(amount: int, unit: str) -> str:
    return f"{amount} {unit}{'' if amount == 1 else 's'}"
