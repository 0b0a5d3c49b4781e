"""What the gateway needs to know of the services behind it."""

from typing import Protocol

import grpc

from ensemble.runtime.service import Channels


class Peers(Channels, Protocol):
    """Channels that can also say how they lead there, and lead to one instance of many."""

    def at(self, address: str) -> grpc.aio.Channel:
        """Return the channel to ``address``, where one instance of a peer is.

        The least recently used of many are closed some time after they were used.
        """

    def transport_of(self, peer: str) -> str:
        """Return "inproc", "unix", "tcp" or "consul"."""
