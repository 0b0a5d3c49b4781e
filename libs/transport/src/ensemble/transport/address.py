"""Addresses: what each form means and whether it stays on this machine."""

import ipaddress
from typing import Final

_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})


def scheme_of(address: str) -> str:
    """Return the scheme of an address; ``dns`` for plain ``host:port``."""
    scheme, colon, rest = address.partition(":")
    if colon and scheme in {"inproc", "unix", "consul", "dns", "ipv4", "ipv6"} and rest:
        return scheme
    return "dns"


def host_of(address: str) -> str:
    """Return the host of a network address, without port and brackets."""
    rest = address
    if scheme_of(address) == "dns" and address.startswith("dns:"):
        rest = address.removeprefix("dns:").rsplit("/", 1)[-1]
    elif scheme_of(address) in {"ipv4", "ipv6"}:
        rest = address.partition(":")[2]
    if rest.startswith("["):
        return rest[1:].partition("]")[0]
    host, colon, port = rest.rpartition(":")
    return host if colon and port.isdigit() else rest


def is_local(address: str) -> bool:
    """Return whether traffic to ``address`` never leaves this machine."""
    scheme = scheme_of(address)
    if scheme in {"inproc", "unix"}:
        return True
    if scheme == "consul":
        return False
    hosts = [host_of(part) for part in address.split(",")]
    return all(_is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
