"""What a call knows about itself, for the calls it makes in turn.

The server-side interceptors of ``ensemble.runtime`` set these for each handler; the
client interceptors of ``ensemble.transport.interceptors`` read them. Nothing here
crosses a channel by itself: only metadata and the deadline do.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

REQUEST_ID_KEY: Final = "x-request-id"
"""Metadata key that carries the request id from hop to hop."""

TENANT_KEY: Final = "x-ensemble-tenant"
"""Trusted metadata: the tenant, set by the gateway."""

PRINCIPAL_KEY: Final = "x-ensemble-principal"
"""Trusted metadata: who calls, set by the gateway."""

TRUSTED_PREFIX: Final = "x-ensemble-"
"""Prefix of all trusted metadata; the gateway drops every inbound copy."""

deadline: ContextVar[float | None] = ContextVar("ensemble_deadline", default=None)
"""``loop.time()`` at which the call being served ends; None when it has no deadline."""

request_id: ContextVar[str] = ContextVar("ensemble_request_id", default="")
"""Id of the request being served; empty outside of any."""

trace: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("ensemble_trace", default=())
"""The W3C trace context that came with the call being served, as metadata; set where this
process writes no spans of its own, empty elsewhere."""

trusted: ContextVar[Mapping[str, str]] = ContextVar(
    "ensemble_trusted", default=MappingProxyType({})
)
"""Trusted metadata (keys start with ``x-ensemble-``) to pass on to nested calls."""
