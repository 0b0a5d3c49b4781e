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
from ensemble.transport.tracing import TracingInterceptor, tracing_is_on

DEADLINE_MARGIN: Final = 0.01
"""Seconds that a call keeps back from its own deadline when it calls on, so that it can
still answer with the reason instead of running out of time itself."""

_EXPIRED: Final = -1.0
"""A timeout that is over for certain; one of 0 s may still be rounded up."""


class CallContextInterceptor:
    """Passes on what the request being served is: its id, its time, whom it is for, and a trace
    that this process only relays.

    One interceptor, because each costs every call. A call outside of any request begins a new
    id; a nested one gets no more time than is left, less the margin.
    """

    def __init__(self) -> None:
        # Unique by its random part; the number tells one process's requests apart, and
        # both together cost far less than random bits for each call.
        self._prefix = f"req_{secrets.token_hex(8)}-"
        self._numbers = itertools.count(1)

    def intercept(self, outgoing: Outgoing) -> None:
        """Append ``x-request-id``, unless the caller has set it, the trusted metadata and the
        trace; lower the timeout."""
        metadata = outgoing.metadata
        for key, _ in metadata:
            if key == context.REQUEST_ID_KEY:
                break
        else:
            request_id = context.request_id.get() or f"{self._prefix}{next(self._numbers)}"
            metadata.append((context.REQUEST_ID_KEY, request_id))
        ends_at = context.deadline.get()
        if ends_at is not None:
            remaining = ends_at - asyncio.get_running_loop().time() - DEADLINE_MARGIN
            if remaining <= 0:
                remaining = _EXPIRED
            if outgoing.timeout is None or remaining < outgoing.timeout:
                outgoing.timeout = remaining
        trusted = context.trusted.get()
        if trusted:
            metadata.extend(trusted.items())
        came_from = context.trace.get()
        if came_from:
            metadata.extend(came_from)


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


def standard_interceptors(*, traced: bool = False) -> Sequence[ClientInterceptor]:
    """Return what every call between services passes, outermost first.

    Args:
        traced: Write spans; they are written too where a tracer is installed already.
    """
    # Asking for each call whether somebody traces would cost as much as all the rest.
    return (_CONTEXT, TracingInterceptor()) if traced or tracing_is_on() else (_CONTEXT,)


_CONTEXT: Final = CallContextInterceptor()
