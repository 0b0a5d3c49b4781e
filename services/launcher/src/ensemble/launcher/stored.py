"""Sessions by the name that a person gives on the command line."""

import asyncio
from typing import Final

from ensemble.client import EnsembleClient
from ensemble.core.errors import EnsembleError, SessionNotFoundError
from ensemble.v1 import session_pb2

LAST = "last"
"""Stands for the session that changed last."""


_PAUSE_S: Final = 0.2


async def resolve(gateway: EnsembleClient, name: str, patience: float | None = None) -> str:
    """Return the id of session ``name``.

    Args:
        patience: Seconds for which a gateway that cannot be reached is tried.

    Raises:
        SessionNotFoundError: ``name`` is ``last`` and there is no session at all.
    """
    if name != LAST:
        return name
    sessions = await _newest(gateway, patience or 0.0)
    if not sessions:
        raise SessionNotFoundError("There is no session yet; 'ensemble ask' makes one.")
    return sessions[0].session_id


async def _newest(gateway: EnsembleClient, patience: float) -> list[session_pb2.Session]:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            return await gateway.list_sessions(limit=1)
        except EnsembleError as error:
            if not error.retryable or loop.time() + _PAUSE_S > until:
                raise
        await asyncio.sleep(_PAUSE_S)
