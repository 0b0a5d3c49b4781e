"""Which service is to blame for a failure that names none."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ensemble.client import EnsembleClient, ServiceRow
from ensemble.core.errors import (
    DeadlineExceededError,
    EnsembleError,
    PeerLostError,
    ServiceUnavailableError,
)

SILENT: Final = (DeadlineExceededError, PeerLostError, ServiceUnavailableError)
"""How a call ends that a service behind the gateway did not answer."""


@asynccontextmanager
async def blaming(gateway: EnsembleClient) -> AsyncIterator[None]:
    """Have a failure inside say which services do not serve, where some do not.

    Raises:
        EnsembleError: As raised inside, with a longer message.
    """
    try:
        yield
    except SILENT as error:
        missing = await _missing(gateway)
        if not missing:
            raise
        raise type(error)(
            f"{error.message} Not serving: {missing}. See 'ensemble status'.",
            metadata=error.metadata,
        ) from error


async def _missing(gateway: EnsembleClient) -> str:
    with contextlib.suppress(EnsembleError):
        rows = await gateway.status()
        return ", ".join(_described(row) for row in rows if row.state != "serving")
    return ""


def _described(row: ServiceRow) -> str:
    if row.state == "unreachable":
        return f"{row.name} (nobody answers at {row.address})"
    return f"{row.name} ({row.state}: {row.detail})" if row.detail else f"{row.name} ({row.state})"
