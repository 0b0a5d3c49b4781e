"""What the gateway needs to know of the services behind it."""

from typing import Protocol

from ensemble.runtime.service import Channels


class Peers(Channels, Protocol):
    """Channels that can also say where they lead."""

    def address_of(self, peer: str) -> str:
        """Return the address of ``peer``, such as "inproc:stt" or "127.0.0.1:7704"."""

    def transport_of(self, peer: str) -> str:
        """Return "inproc", "unix", "tcp" or "consul"."""
