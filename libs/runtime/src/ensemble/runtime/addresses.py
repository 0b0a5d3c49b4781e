"""Where services listen and where they are dialled, from the environment (DESIGN §3)."""

import ipaddress
import os
import socket
from collections.abc import Collection, Mapping

from ensemble.core.errors import ConfigurationError
from ensemble.core.services import DEFAULT_PORTS, environment_prefix
from ensemble.transport.address import host_of, scheme_of


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


def reachable_host(host: str) -> str:
    """Return the host under which others reach what listens at ``host``.

    Raises:
        ConfigurationError: It listens everywhere, and this machine's own address is not clear.
    """
    try:
        unspecified = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        unspecified = False
    if not unspecified:
        return host
    # Connecting a datagram socket sends nothing; it only picks the interface.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            raise ConfigurationError(
                f"It is not clear under which address other nodes reach {host}; set "
                "ENSEMBLE_ADVERTISE_HOST.",
                metadata={"variable": "ENSEMBLE_ADVERTISE_HOST"},
            ) from None
        return str(probe.getsockname()[0])


def advertised_address(service: str, dialled: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return where other nodes reach ``service`` of this process; empty if they cannot.

    Args:
        service: Its name.
        dialled: Where this process itself reaches it.
        environ: Where to read.
    """
    scheme = scheme_of(dialled)
    listens = listen_addresses(service, environ, always=scheme != "inproc")
    if not listens:
        return ""
    if scheme_of(listens[0]) != "dns":
        return listens[0]
    host = environ.get("ENSEMBLE_ADVERTISE_HOST", "") or reachable_host(host_of(listens[0]))
    port = listens[0].rpartition(":")[2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
