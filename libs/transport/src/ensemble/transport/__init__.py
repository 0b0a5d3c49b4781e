"""One channel per address: in process, unix, TCP or Consul."""

from ensemble.transport.channel import Tls, open_channel
from ensemble.transport.inproc.server import InProcessServer
from ensemble.transport.streams import stream, until_half_close

__all__ = ["InProcessServer", "Tls", "open_channel", "stream", "until_half_close"]
