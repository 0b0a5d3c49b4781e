"""Who calls."""

from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Final

from ensemble.runtime.interceptors.chain import Call, Layer
from ensemble.runtime.service import Authenticator
from ensemble.transport import context

_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


class TrustedCaller(Layer):
    """Takes tenant and principal as the gateway set them: for services behind the gateway."""

    def enter(self, call: Call) -> None:
        """Set the context variable of the call's task."""
        trusted = {
            key: value
            for key, value in call.metadata.items()
            if key.startswith(context.TRUSTED_PREFIX) and isinstance(value, str)
        }
        if trusted:
            context.trusted.set(MappingProxyType(trusted))
        elif context.trusted.get():
            context.trusted.set(_NOBODY)


class AuthenticatedCaller(Layer):
    """Asks ``authenticator`` who calls, and believes no copy that came from outside.

    Args:
        authenticator: Knows the callers.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def enter(self, call: Call) -> Awaitable[None]:
        """Set the context variable of the call's task, or refuse the call."""
        return self._ask(call)

    async def _ask(self, call: Call) -> None:
        claims = {
            key: value
            for key, value in call.metadata.items()
            if isinstance(value, str) and not key.startswith(context.TRUSTED_PREFIX)
        }
        trusted = await self._authenticator(call.method, claims)
        context.trusted.set(MappingProxyType(dict(trusted)))
