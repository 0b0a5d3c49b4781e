"""Sessions by the name that a person gives on the command line."""

from ensemble.client import EnsembleClient
from ensemble.core.errors import SessionNotFoundError

LAST = "last"
"""Stands for the session that changed last."""


async def resolve(gateway: EnsembleClient, name: str) -> str:
    """Return the id of session ``name``.

    Raises:
        SessionNotFoundError: ``name`` is ``last`` and there is no session at all.
    """
    if name != LAST:
        return name
    sessions = await gateway.list_sessions(limit=1)
    if not sessions:
        raise SessionNotFoundError("There is no session yet; 'ensemble ask' makes one.")
    return sessions[0].session_id
