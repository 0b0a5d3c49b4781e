"""Who calls."""

from types import MappingProxyType

from ensemble.runtime.interceptors.chain import Call, Layer
from ensemble.runtime.service import Authenticator
from ensemble.transport import context


class TrustedCaller(Layer):
    """Takes tenant and principal as the gateway set them: for services behind the gateway."""

    async def enter(self, call: Call) -> None:
        """Set the context variable of the call's task."""
        context.trusted.set(
            MappingProxyType(
                {
                    key: value
                    for key, value in call.metadata.items()
                    if key.startswith(context.TRUSTED_PREFIX) and isinstance(value, str)
                }
            )
        )


class AuthenticatedCaller(Layer):
    """Asks ``authenticator`` who calls, and believes no copy that came from outside.

    Args:
        authenticator: Knows the callers.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def enter(self, call: Call) -> None:
        """Set the context variable of the call's task, or refuse the call."""
        claims = {
            key: value
            for key, value in call.metadata.items()
            if isinstance(value, str) and not key.startswith(context.TRUSTED_PREFIX)
        }
        trusted = await self._authenticator(call.method, claims)
        context.trusted.set(MappingProxyType(dict(trusted)))
