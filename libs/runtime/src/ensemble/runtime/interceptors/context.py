"""Gives each call its request id and its deadline, for logs and for nested calls."""

import asyncio
import itertools
import re
import secrets
from typing import Final

from ensemble.runtime import logs
from ensemble.runtime.interceptors.chain import Call, Layer
from ensemble.transport import context

_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}").fullmatch


class RequestId(Layer):
    """Takes the request id that came with the call, or makes one; says which service this is.

    Args:
        service: Name for the logs.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        # Unique by its random part; the number costs far less than random bits for each call.
        self._prefix = f"{secrets.token_hex(8)}-"
        self._numbers = itertools.count(1)

    def enter(self, call: Call) -> None:
        """Set the context variables of the call's task; they end with it."""
        request_id = call.metadata.get(context.REQUEST_ID_KEY)
        # An id that is not one would go into every log line of the call.
        if not isinstance(request_id, str) or not _ACCEPTABLE(request_id):
            request_id = f"{self._prefix}{next(self._numbers)}"
        context.request_id.set(request_id)
        logs.service.set(self._service)


class DeadlineBudget(Layer):
    """Notes when the call ends, so that nested calls get no more time than is left."""

    def enter(self, call: Call) -> None:
        """Set the context variable of the call's task."""
        remaining = call.context.time_remaining()
        if remaining is not None:
            context.deadline.set(asyncio.get_running_loop().time() + remaining)
        elif context.deadline.get() is not None:
            context.deadline.set(None)
