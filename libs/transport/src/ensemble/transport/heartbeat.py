"""Heartbeats: how a long stream notices that its other side is gone."""

import asyncio
import contextlib
from asyncio import current_task
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Final, Generic, TypeVar

from ensemble.core.errors import PeerLostError
from ensemble.core.services import HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT

Event = TypeVar("Event")

MUTE_CALLER_TIMEOUT: Final = 60.0
"""Seconds for which a caller that never sends heartbeats may say nothing."""

OWN_LAG: Final = 0.1
"""Seconds by which a timer may be late before the silence is put down to our own loop."""


def watch(
    responses: AsyncIterable[Event],
    timeout: float = HEARTBEAT_TIMEOUT,
    *,
    first: float | None = None,
) -> AsyncGenerator[Event, None]:
    """Pass ``responses`` on and raise when none comes for ``timeout`` seconds, or the first one
    for ``first`` seconds where that is given.

    Only time spent waiting counts: a consumer that is slow, or an event loop that stood
    still, is not the other side's silence.

    Raises:
        PeerLostError: Nothing came, not even a heartbeat.
    """
    if first is None:
        return _until_silent(responses, _Silence(timeout))
    return _until_silent(responses, _Silence(first), then=timeout)


class WatchedCaller(Generic[Event]):
    """The requests of a long stream, for as long as their caller lives.

    A caller that ever sent a heartbeat has to go on with them until it half-closes; one that
    never does may be silent for much longer.

    Args:
        requests: What the caller sends.
        is_heartbeat: Tells a heartbeat from other requests.
        timeout: Seconds of silence after which a caller that sends heartbeats is dead.
        mute_timeout: The same for one that sends none.
    """

    def __init__(
        self,
        requests: AsyncIterable[Event],
        is_heartbeat: Callable[[Event], bool],
        *,
        timeout: float = HEARTBEAT_TIMEOUT,
        mute_timeout: float = MUTE_CALLER_TIMEOUT,
    ) -> None:
        self._silence = _Silence(mute_timeout)
        self._requests = _until_silent(requests, self._silence)
        self._is_heartbeat = is_heartbeat
        self._timeout = timeout
        self._beats = False

    async def requests(self) -> AsyncGenerator[Event, None]:
        """Pass the requests on.

        Raises:
            PeerLostError: The caller was silent for too long.
        """
        try:
            async for request in self._requests:
                if not self._beats and self._is_heartbeat(request):
                    self._beats = True
                    self._silence.limit_to(self._timeout)
                yield request
        finally:
            await self._requests.aclose()

    def took(self) -> None:
        """Say that the caller took a response: one without heartbeats lives by that, too."""
        if not self._beats:
            self._silence.renew()


async def _until_silent(
    events: AsyncIterable[Event], silence: "_Silence", then: float | None = None
) -> AsyncGenerator[Event, None]:
    draw, begin, end = aiter(events).__anext__, silence.begin, silence.end
    try:
        while True:
            begin()
            try:
                event = await draw()
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if silence.ended_the_wait():
                    raise PeerLostError from None
                raise
            finally:
                end()
            if then is not None:
                silence.limit_to(then)
                then = None
            yield event
    finally:
        silence.close()


class _Silence:
    """Cancels the task that waits once it has waited for too long.

    One timer serves the whole stream: a message costs reading the clock, no more.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._since = 0.0
        self._cancellations = 0
        self._broke = False

    def begin(self) -> None:
        self._task = task = current_task(self._loop)
        self._cancellations = task.cancelling() if task is not None else 0
        self._since = self._time()
        if self._timer is None:
            self._arm(self._since + self._timeout)

    def end(self) -> None:
        self._task = None

    def renew(self) -> None:
        self._since = self._loop.time()

    def limit_to(self, timeout: float) -> None:
        self._timeout = timeout
        self.close()  # the next wait arms it anew

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ended_the_wait(self) -> bool:
        """Return whether the silence, and nobody else, cancelled the wait."""
        if not self._broke or self._task is None:
            return False
        return self._task.uncancel() <= self._cancellations

    def _arm(self, when: float) -> None:
        self._timer = self._loop.call_at(when, self._check, when)

    def _check(self, due: float) -> None:
        self._timer = None
        if self._task is None:
            return  # nobody waits; the next wait arms it again
        now = self._loop.time()
        if now - due > OWN_LAG:
            # What came meanwhile is still to be handed out.
            self._arm(now + OWN_LAG)
        elif now < self._since + self._timeout:
            self._arm(self._since + self._timeout)
        else:
            self._broke = True
            self._task.cancel()


_BEATS_A_SECOND: Final = 1000
"""Heartbeats of all streams together before each gives fewer: a thousand idle streams at the usual
interval would take most of a processor."""

_LONGEST_INTERVAL: Final = HEARTBEAT_TIMEOUT * 2 / 3
"""Seconds between two heartbeats of a stream at most, however many streams there are."""


def beat_interval(streams: int, interval: float = HEARTBEAT_INTERVAL) -> float:
    """Return the seconds between two heartbeats of each of so many streams.

    Args:
        streams: That beat in this process.
        interval: Seconds where they are few.
    """
    return max(interval, min(streams / _BEATS_A_SECOND, _LONGEST_INTERVAL))


async def with_heartbeats(
    events: AsyncIterable[Event],
    make_heartbeat: Callable[[], Event],
    interval: float = HEARTBEAT_INTERVAL,
) -> AsyncGenerator[Event, None]:
    """Pass ``events`` on, with a heartbeat whenever nothing was sent for ``interval`` seconds.

    Where there are very many streams it is up to twice as long, within what their callers wait
    for. A few events at most are drawn ahead. When this generator is closed, so are ``events``.
    """
    handover: _Handover[Event] = _Handover()
    source = asyncio.get_running_loop().create_task(handover.fill(events))
    waiting = handover.waiting
    try:
        while True:
            if waiting:
                yield handover.take()
            elif handover.is_over:
                break
            elif not await handover.arrival(beat_interval(_Handover.open, interval)):
                yield make_heartbeat()
        await source  # raises what ended the events
    finally:
        handover.close()
        source.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await source
        del source  # an error that it ended with knows this frame


_AHEAD: Final = 16
"""Events that are drawn before one is sent: a burst costs a turn of the loop for so many."""


class _Handover(Generic[Event]):
    """What is between the task that draws events and the stream that sends them."""

    open = 0

    def __init__(self) -> None:
        _Handover.open += 1
        self._loop = asyncio.get_running_loop()
        self.waiting: list[Event] = []  # short: taking its head costs less than a deque
        self.is_over = False
        self._room: asyncio.Future[None] | None = None
        self._arrival: asyncio.Future[bool] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def fill(self, events: AsyncIterable[Event]) -> None:
        """Draw all events, a few ahead of those that are taken."""
        waiting = self.waiting
        try:
            async for event in events:
                waiting.append(event)
                if self._arrival is not None:
                    self._wake(True)
                if len(waiting) >= _AHEAD:
                    self._room = self._loop.create_future()
                    await self._room
        finally:
            self.is_over = True
            self._wake(True)
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    def take(self) -> Event:
        """Return the event that has waited longest."""
        event = self.waiting.pop(0)
        room = self._room
        # Half of the room is made first, so that a faster source is not woken for each event.
        if room is not None and len(self.waiting) <= _AHEAD // 2:
            self._room = None
            if not room.done():
                room.set_result(None)
        return event

    async def arrival(self, limit: float) -> bool:
        """Wait until an event or the end has come; False when none did within ``limit``."""
        self._due = self._loop.time() + limit
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._check)
        arrival: asyncio.Future[bool] = self._loop.create_future()
        self._arrival = arrival
        try:
            return await arrival
        finally:
            self._arrival = None

    def close(self) -> None:
        """End the wait for events that come too late."""
        _Handover.open -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        # One timer serves the whole stream: it is moved when it fires, not for each event.
        self._timer = None
        if self._arrival is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._check)
        else:
            self._wake(False)

    def _wake(self, arrived: bool) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(arrived)
