"""Where services listen and where they are dialled, from the environment (DESIGN §3)."""

import os
from collections.abc import Collection, Mapping

from ensemble.core.services import DEFAULT_PORTS, environment_prefix
from ensemble.transport.address import scheme_of


def default_address(service: str) -> str:
    """Return the loopback address that ``service`` has when nobody says otherwise."""
    return f"127.0.0.1:{DEFAULT_PORTS[service]}"


def listen_addresses(
    service: str, environ: Mapping[str, str] = os.environ, *, always: bool = True
) -> tuple[str, ...]:
    """Return where ``service`` listens: ``ENSEMBLE_<SERVICE>_LISTEN`` (separated by commas), else
    its ``_ADDRESS`` where that can be bound, else its default port.

    Args:
        service: Its name.
        environ: Where to read.
        always: Whether it listens when ``_LISTEN`` is not set; a colocated service need not.
    """
    prefix = environment_prefix(service)
    chosen = environ.get(f"{prefix}LISTEN", "").strip()
    if chosen:
        return tuple(part.strip() for part in chosen.split(",") if part.strip())
    if not always:
        return ()
    address = environ.get(f"{prefix}ADDRESS", "").strip()
    if address and scheme_of(address) in ("dns", "unix"):
        return (address,)
    return (default_address(service),)


def dial_address(
    peer: str,
    environ: Mapping[str, str] = os.environ,
    *,
    colocated: Collection[str] = (),
    consul: bool = False,
) -> str:
    """Return the address of ``peer``: ``ENSEMBLE_<PEER>_ADDRESS``, else in this process, else by
    Consul, else its default port on this machine.
    """
    explicit = environ.get(f"{environment_prefix(peer)}ADDRESS", "").strip()
    if explicit:
        return explicit
    if peer in colocated:
        return f"inproc:{peer}"
    if consul:
        return f"consul:{peer}"
    return default_address(peer)


def transport_of(address: str) -> str:
    """Return ``inproc``, ``unix``, ``tcp`` or ``consul``."""
    scheme = scheme_of(address)
    return scheme if scheme in ("inproc", "unix", "consul") else "tcp"
