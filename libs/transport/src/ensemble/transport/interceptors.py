"""What every call between services passes before it leaves.

``grpc.aio``'s own client interceptors need a network channel and cost a task for each
call. These are plain objects that look at a call before it begins, so that the same
list serves every transport.
"""

import asyncio
import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from ensemble.transport import context
from ensemble.transport.outgoing import ClientInterceptor, Outgoing
from ensemble.transport.tracing import TracingInterceptor

DEADLINE_MARGIN: Final = 0.01
"""Seconds that a call keeps back from its own deadline when it calls on, so that it can
still answer with the reason instead of running out of time itself."""

_EXPIRED: Final = -1.0
"""A timeout that is over for certain; one of 0 s may still be rounded up."""


class RequestIdInterceptor:
    """Passes the id of the request being served on, or begins a new one."""

    def __init__(self) -> None:
        # Unique by its random part; the number tells one process's requests apart, and
        # both together cost far less than random bits for each call.
        self._prefix = f"req_{secrets.token_hex(8)}"
        self._numbers = itertools.count(1)

    def intercept(self, outgoing: Outgoing) -> None:
        """Append ``x-request-id`` unless the caller has set it."""
        if not any(key == context.REQUEST_ID_KEY for key, _ in outgoing.metadata):
            request_id = context.request_id.get() or f"{self._prefix}{next(self._numbers):06x}"
            outgoing.metadata.append((context.REQUEST_ID_KEY, request_id))


class DeadlineInterceptor:
    """Gives a nested call no more time than the call being served has left."""

    def intercept(self, outgoing: Outgoing) -> None:
        """Lower the timeout to what remains, less the margin."""
        ends_at = context.deadline.get()
        if ends_at is None:
            return
        remaining = ends_at - asyncio.get_running_loop().time() - DEADLINE_MARGIN
        if remaining <= 0:
            remaining = _EXPIRED
        if outgoing.timeout is None or remaining < outgoing.timeout:
            outgoing.timeout = remaining


class TrustedMetadataInterceptor:
    """Passes on who the call is for: tenant, principal and the like."""

    def intercept(self, outgoing: Outgoing) -> None:
        """Append the trusted metadata of the request being served."""
        trusted = context.trusted.get()
        if trusted:
            outgoing.metadata.extend(trusted.items())


class MetadataInterceptor:
    """Sends the same metadata with each call, such as a client's API key.

    Args:
        metadata: What to send, by key.
    """

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._metadata = tuple(metadata.items())

    def intercept(self, outgoing: Outgoing) -> None:
        """Append the metadata."""
        outgoing.metadata.extend(self._metadata)


def api_key(key: str) -> MetadataInterceptor:
    """Return an interceptor that shows an API key to the gateway."""
    return MetadataInterceptor({"authorization": f"Bearer {key}"})


def standard_interceptors() -> Sequence[ClientInterceptor]:
    """Return what every call between services passes, outermost first."""
    return _STANDARD


_STANDARD: Final[Sequence[ClientInterceptor]] = (
    RequestIdInterceptor(),
    DeadlineInterceptor(),
    TrustedMetadataInterceptor(),
    TracingInterceptor(),
)
