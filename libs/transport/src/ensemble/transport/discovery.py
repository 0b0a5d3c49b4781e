"""Which instances of a service to call, out of those that are healthy."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One healthy instance of a service.

    Attributes:
        address: ``host:port``, an IPv6 host in brackets.
        identity: The id it registered under.
        node: The name of its node.
        tier: ``edge``, ``standalone`` or ``core``; empty when it did not say.
    """

    address: str
    identity: str = ""
    node: str = ""
    tier: str = ""


def service_name(service: str) -> str:
    """Return the name that ``service`` (such as ``stt``) has in Consul."""
    return f"ensemble-{service}"


def preferred(instances: Collection[Instance], *, node: str = "", tier: str = "") -> list[Instance]:
    """Return the instances to call: those on ``node``, else those of ``tier``, else all."""
    here = [instance for instance in instances if node and instance.node == node]
    alike = [instance for instance in instances if tier and instance.tier == tier]
    return sorted(here or alike or instances)


def target_of(instances: Collection[Instance]) -> str:
    """Return one gRPC target for all ``instances``; empty for none.

    Addresses of the most common kind go together; a host name can only stand alone.
    """
    by_scheme: dict[str, list[str]] = {}
    for instance in instances:
        by_scheme.setdefault(_scheme_of(instance.address), []).append(instance.address)
    if not by_scheme:
        return ""
    scheme = max(by_scheme, key=lambda kind: len(by_scheme[kind]))
    addresses = by_scheme[scheme]
    return f"dns:///{addresses[0]}" if scheme == "dns" else f"{scheme}:{','.join(addresses)}"


def _scheme_of(address: str) -> str:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return f"ipv{ipaddress.ip_address(host).version}"
    except ValueError:
        return "dns"
