"""What a service is to the process that runs it."""

import abc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import grpc

Authenticator = Callable[[str, Mapping[str, str]], Awaitable[Mapping[str, str]]]
"""Called with the method's full name and the metadata that came with the call (text values
only, inbound ``x-ensemble-*`` dropped); returns the trusted metadata of the caller, keys such
as ``x-ensemble-tenant``. Raises ``UnauthenticatedError`` for a caller it does not know."""


class Channels(Protocol):
    """Where a service finds its peers."""

    def get(self, peer: str) -> grpc.aio.Channel:
        """Return the channel to ``peer``, such as "world-model".

        The channel is made once and belongs to the host: never close it. It connects when
        it is first used, so this neither waits nor fails because the peer is away.
        """

    def address_of(self, peer: str) -> str:
        """Return where ``peer`` is dialled, such as "inproc:stt" or "127.0.0.1:7704"."""


class Service(abc.ABC):
    """One of the services, the same whether it is colocated or on its own.

    The host calls ``add_to`` once for each server the service is reached by, then
    ``start``, at the end ``drain`` and ``close``.
    """

    name: str
    """Its name, one of ``ensemble.core.services.SERVICE_NAMES``."""

    @abc.abstractmethod
    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the servicer to ``server`` with the generated ``add_…_to_server``."""

    async def start(self) -> None:  # noqa: B027 - a service without engines has nothing to do
        """Load the engines; calls are let in once this has returned.

        A start that fails frees what it took: the host may call it again. A failure that
        trying again cannot mend is an ``EnsembleError`` with ``retryable = False``.
        """

    async def drain(self) -> None:  # noqa: B027 - a service without streams has nothing to say
        """Tell the open streams that the service will leave, and refuse new ones.

        Returns as soon as that is said; the host does the waiting. A stream that was told
        ends by itself as soon as it can.
        """

    async def close(self) -> None:  # noqa: B027 - a service without engines has nothing to free
        """Free everything. No call is open any more. Also called after a failed start."""

    def engines(self) -> Sequence[str]:
        """Return the names of the engines in use, such as ``("llama.cpp:household",)``."""
        return ()

    def authenticator(self) -> Authenticator | None:
        """Return who asks callers for their credentials: the gateway's business.

        None for every other service: it believes the metadata that the gateway has set.
        """
        return None
