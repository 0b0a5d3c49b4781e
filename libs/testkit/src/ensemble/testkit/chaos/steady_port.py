"""Ports for processes that are killed and come back."""

import errno
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_taken: set[int] = set()


def steady_port() -> int:
    """Return a loopback port that no outgoing connection takes while nobody listens there.

    Ports that the kernel gives to outgoing connections will not do: while a service is dead, a
    client that dials it may be given the very port, and the service cannot come back.
    """
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32768
    while True:
        port = random.randrange(_LOWEST, first)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
        _taken.add(port)
        return port
