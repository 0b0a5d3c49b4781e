"""A call before it begins, and who may look at it."""

from collections.abc import Callable
from typing import Protocol

import grpc

Begun = Callable[[grpc.aio.Call | None], None]
"""Called with the call once it has begun, or with None when it could not begin."""


class Outgoing:
    """A call that is about to begin.

    Attributes:
        method: Full name, such as ``/ensemble.v1.SttService/Recognize``.
        timeout: Seconds the call may take, or None.
        metadata: What goes with it; interceptors append to it.
    """

    __slots__ = ("metadata", "method", "timeout")

    def __init__(
        self, method: str, timeout: float | None, metadata: list[tuple[str, str | bytes]]
    ) -> None:
        self.method = method
        self.timeout = timeout
        self.metadata = metadata


class ClientInterceptor(Protocol):
    """Sees each call before it begins."""

    def intercept(self, outgoing: Outgoing) -> Begun | None:
        """Change the call that is about to begin; return what to run once it has begun."""
