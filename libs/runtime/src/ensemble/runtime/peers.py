"""The channels of a process to its peers."""

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.core.services import DEFAULT_PORTS
from ensemble.runtime.addresses import dial_address, transport_of
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.tls import client_tls
from ensemble.transport import open_channel
from ensemble.transport.interceptors import standard_interceptors
from ensemble.transport.outgoing import ClientInterceptor


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
        self._interceptors = (*standard_interceptors(), *interceptors)
        self._channels: dict[str, grpc.aio.Channel] = {}
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
            address = self.address_of(peer)
            limit = self._settings.max_message_bytes
            channel = open_channel(
                address,
                interceptors=self._interceptors,
                options=(
                    ("grpc.max_receive_message_length", limit),
                    ("grpc.max_send_message_length", limit),
                ),
                tls=self._tls if transport_of(address) in ("tcp", "consul") else None,
            )
            self._channels[peer] = channel
        return channel

    async def close(self) -> None:
        """Close every channel; calls that are still open are cancelled."""
        channels, self._channels = self._channels, {}
        await asyncio.gather(*(channel.close(0) for channel in channels.values()))
