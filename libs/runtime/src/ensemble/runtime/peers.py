"""The channels of a process to its peers."""

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.core.services import DEFAULT_PORTS
from ensemble.runtime.addresses import dial_address, transport_of
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.tls import client_tls
from ensemble.transport import open_channel
from ensemble.transport.interceptors import standard_interceptors
from ensemble.transport.outgoing import ClientInterceptor

_INSTANCES: Final = 64
"""Addresses of single instances to which channels are kept."""

_LEFT_AFTER_S: Final = 30.0
"""Seconds that calls still have on a channel that is left."""


class PeerChannels:
    """Finds each peer once and keeps its channel. Implements ``Channels``.

    Args:
        settings: TLS, limits and whether there is a Consul.
        colocated: Names of the services of this process.
        environ: Where explicit addresses are read.
        interceptors: Beside the standard ones, for every call.
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        *,
        colocated: Collection[str] = (),
        environ: Mapping[str, str] = os.environ,
        interceptors: Sequence[ClientInterceptor] = (),
    ) -> None:
        self._settings = settings
        self._colocated = frozenset(colocated)
        self._environ = environ
        self._interceptors = (
            *standard_interceptors(traced=settings.traces != "none"),
            *interceptors,
        )
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._instances: dict[str, grpc.aio.Channel] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._tls = client_tls(settings)

    def address_of(self, peer: str) -> str:
        """Return the address at which ``peer`` is dialled.

        Raises:
            ConfigurationError: There is no service of this name.
        """
        if peer not in DEFAULT_PORTS:
            raise ConfigurationError(f"There is no service called {peer}.")
        return dial_address(
            peer,
            self._environ,
            colocated=self._colocated,
            consul=bool(self._settings.consul_address),
        )

    def transport_of(self, peer: str) -> str:
        """Return how ``peer`` is reached: ``inproc``, ``unix``, ``tcp`` or ``consul``."""
        return transport_of(self.address_of(peer))

    def get(self, peer: str) -> grpc.aio.Channel:
        """Return the channel to ``peer``; it belongs to this object."""
        channel = self._channels.get(peer)
        if channel is None:
            channel = self._channels[peer] = self._open(self.address_of(peer))
        return channel

    def at(self, address: str) -> grpc.aio.Channel:
        """Return the channel to ``address``, where one instance of many is; it belongs to this
        object. Of many addresses the least recently used ones are left after a while.
        """
        channel = self._instances.pop(address, None) or self._open(address)
        self._instances[address] = channel
        if len(self._instances) > _INSTANCES:
            oldest = self._instances.pop(next(iter(self._instances)))
            closing = asyncio.create_task(oldest.close(_LEFT_AFTER_S))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        return channel

    def _open(self, address: str) -> grpc.aio.Channel:
        limit = self._settings.max_message_bytes
        return open_channel(
            address,
            interceptors=self._interceptors,
            options=(
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
            ),
            tls=self._tls if transport_of(address) in ("tcp", "consul") else None,
        )

    async def close(self) -> None:
        """Close every channel; calls that are still open are cancelled."""
        for closing in self._closing:
            closing.cancel()
        channels = [*self._channels.values(), *self._instances.values()]
        self._channels, self._instances = {}, {}
        await asyncio.gather(*(channel.close(0) for channel in channels))
