"""Signs of life: those that a stream gives, and those that it waits for.

One timer serves all streams of a loop: those that are due in the same moment are seen to
together.
"""

import abc
import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from ensemble.core.services import HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT
from ensemble.transport.heartbeat import OWN_LAG, beat_interval

_TICK: Final = 0.02
"""Seconds by which something may be late, so that it is done for many streams at once."""

_LONGEST_SILENCE: Final = HEARTBEAT_TIMEOUT * 3
"""Seconds for which one stream of a peer that lives may be silent."""


class _Due(abc.ABC):
    """Something to be done at a time, and perhaps again later."""

    __slots__ = ("due",)

    due: float

    @abc.abstractmethod
    def turn(self, now: float) -> bool:
        """Do it if it is time, and set when next; False when it is over."""


class _Wheel:
    """What is due in the same tick waits in one list; a timer goes from tick to tick."""

    def __init__(self) -> None:
        self.count = 0
        self._ticks: dict[int, list[_Due]] = {}
        self._armed = False

    def add(self, item: _Due) -> None:
        self.count += 1
        self._put(item)
        self._arm()

    def _put(self, item: _Due) -> None:
        self._ticks.setdefault(int(item.due / _TICK) + 1, []).append(item)

    def _arm(self) -> None:
        if not self._armed and self._ticks:
            self._armed = True
            asyncio.get_running_loop().call_at(min(self._ticks) * _TICK, self._turn)

    def _turn(self) -> None:
        self._armed = False
        now = asyncio.get_running_loop().time()
        for past in sorted(tick for tick in self._ticks if tick * _TICK <= now):
            for item in self._ticks.pop(past):
                if item.turn(now):
                    self._put(item)
                else:
                    self.count -= 1
        self._arm()


_Wheels = WeakKeyDictionary[asyncio.AbstractEventLoop, _Wheel]

# By the loop that turns them; a wheel that is armed is kept by its loop as well.
_PULSES: Final[_Wheels] = WeakKeyDictionary()
_VIGILS: Final[_Wheels] = WeakKeyDictionary()


def _wheel(wheels: _Wheels) -> _Wheel:
    loop = asyncio.get_running_loop()
    wheel = wheels.get(loop)
    if wheel is None:
        wheel = wheels[loop] = _Wheel()
    return wheel


class Pulse(_Due):
    """Calls ``beat`` whenever nothing was sent for a while.

    The interval grows with the number of pulses, within what the other side waits for.

    Args:
        beat: Has a heartbeat sent.
    """

    __slots__ = ("_beat", "_last", "_wheel")

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat: Callable[[], None] | None = beat
        self._wheel = _wheel(_PULSES)
        self._last = asyncio.get_running_loop().time()
        self.due = self._last + HEARTBEAT_INTERVAL
        self._wheel.add(self)

    def sent(self) -> None:
        """Take note that something was sent just now."""
        self._last = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Beat no more."""
        self._beat = None

    def turn(self, now: float) -> bool:
        """See ``_Due.turn``."""
        if self._beat is None:
            return False
        interval = beat_interval(self._wheel.count)
        if self._last + interval <= now:
            self._last = now
            self._beat()
        self.due = self._last + interval
        return True


class Vigil(_Due):
    """Calls ``lost`` once nothing was heard for too long by one who waits for it.

    A peer that is heard on another stream lives; a silent stream is then only late, for a while.
    Time for which our own loop stood still is not the other side's silence.

    Args:
        peer: Heard on whichever of its streams.
        limit: Seconds of silence until something is heard the first time.
        lost: Called once.
    """

    __slots__ = ("_limit", "_lost", "_peer", "_since", "_waits")

    def __init__(self, peer: "Heard", limit: float, lost: Callable[[], None]) -> None:
        self._peer = peer
        self._limit = limit
        self._lost: Callable[[], None] | None = lost
        self._since = asyncio.get_running_loop().time()
        self._waits = True
        self.due = self._since + limit
        _wheel(_VIGILS).add(self)

    def heard(self) -> None:
        """Take note that something was heard just now."""
        self._since = self._peer.at = asyncio.get_running_loop().time()
        self._limit = HEARTBEAT_TIMEOUT

    def pause(self) -> None:
        """Nobody waits."""
        self._waits = False

    def resume(self) -> None:
        """Somebody waits again."""
        self._waits = True
        self._since = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Nobody waits any more."""
        self._lost = None

    def turn(self, now: float) -> bool:
        """See ``_Due.turn``."""
        if self._lost is None:
            return False
        elsewhere = min(self._peer.at + HEARTBEAT_TIMEOUT, self._since + _LONGEST_SILENCE)
        until = max(self._since + self._limit, elsewhere)
        if not self._waits:
            self.due = now + self._limit
        elif now - self.due > OWN_LAG:
            # What came meanwhile is still to be handed out.
            self.due = now + OWN_LAG
        elif now < until:
            self.due = until
        else:
            self._lost()
            return False
        return True


class Heard:
    """When a peer was heard last, by the clock of the loop."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = 0.0
