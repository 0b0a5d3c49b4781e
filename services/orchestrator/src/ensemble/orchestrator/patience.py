"""Waiting for services that start at the same time, as after a loss of power."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ensemble.core.errors import ModelUnavailableError, PeerLostError, ServiceUnavailableError

T = TypeVar("T")

LOST: Final = (ServiceUnavailableError, PeerLostError)
"""How a call ends whose service is gone; it may have begun the work."""

_ABSENT: Final = (*LOST, ModelUnavailableError)
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5


async def once_there(
    call: Callable[[], Awaitable[T]], limit_s: float, *, taken: Callable[[], bool] | None = None
) -> T:
    """Return what ``call`` returns, which is made again while its service is not there.

    Args:
        call: Makes the call.
        limit_s: Seconds for which it is made again.
        taken: Returns whether the service took the last call, which then is not made again; nor
            is one to which it is silent. None for a call that may be made any number of times.

    Raises:
        EnsembleError: What the call raised, for another reason or after ``limit_s`` seconds.
    """
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + limit_s, _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except _ABSENT as exc:
            made = taken is not None and (taken() or isinstance(exc, PeerLostError))
            if made or loop.time() + pause > end:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
