"""The address picks the transport."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.transport.address import is_local, scheme_of
from ensemble.transport.inproc.channel import InProcessChannel
from ensemble.transport.intercepted import InterceptedChannel
from ensemble.transport.interceptors import standard_interceptors
from ensemble.transport.options import CHANNEL_OPTIONS, merged
from ensemble.transport.outgoing import ClientInterceptor


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a client, each as PEM bytes.

    Attributes:
        root_certificates: Whom to trust; None for the system's roots.
        certificate_chain: Who we are, for mutual TLS.
        private_key: The key of the chain.
        server_name: The name in the server's certificate, where the address is another.
    """

    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return these certificates as gRPC takes them."""
        return grpc.ssl_channel_credentials(
            self.root_certificates, self.private_key, self.certificate_chain
        )


def open_channel(
    address: str,
    *,
    interceptors: Sequence[ClientInterceptor] | None = None,
    options: Sequence[tuple[str, Any]] = (),
    tls: Tls | None = None,
) -> grpc.aio.Channel:
    """Open a channel; nothing is dialled before the first call.

    Args:
        address: ``inproc:NAME``, ``unix:PATH``, ``dns:///HOST:PORT``, ``HOST:PORT``,
            ``ipv4:A:P[,A:P]`` (calls take turns), ``consul:NAME`` or ``consul:NAME/INSTANCE``.
        interceptors: What each call passes, outermost first; the standard ones when None.
        options: gRPC channel options beside ours; the later of two equal ones counts.
        tls: Certificates; without them only addresses on this machine are dialled.

    Raises:
        ConfigurationError: The address is empty, or leaves this machine without TLS.
    """
    if not address:
        raise ConfigurationError("An address is empty.")
    chosen = merged(CHANNEL_OPTIONS, options)
    channel = _open(address, chosen, tls)
    if interceptors is None:
        interceptors = standard_interceptors()
    return InterceptedChannel(channel, interceptors)


def _open(address: str, options: Sequence[tuple[str, Any]], tls: Tls | None) -> grpc.aio.Channel:
    scheme = scheme_of(address)
    if scheme == "inproc":
        return InProcessChannel(address.removeprefix("inproc:"), options)
    spread = merged(options, [("grpc.lb_policy_name", "round_robin")])
    if scheme == "consul":
        # Consul's client costs an HTTP stack: only those who use it pay for it.
        from ensemble.transport.consul import ConsulChannel

        return ConsulChannel(
            address.removeprefix("consul:"), lambda target: dial(target, spread, tls)
        )
    return dial(address, spread if "," in address else options, tls)


def dial(
    address: str, options: Sequence[tuple[str, Any]], tls: Tls | None = None
) -> grpc.aio.Channel:
    """Open a gRPC channel over the network or a unix socket.

    Raises:
        ConfigurationError: The address leaves this machine without TLS.
    """
    if tls is not None:
        if tls.server_name:
            options = merged(options, [("grpc.ssl_target_name_override", tls.server_name)])
        return grpc.aio.secure_channel(address, tls.credentials(), tuple(options))
    if not is_local(address):
        raise ConfigurationError(
            f"{address} is not on this machine, and no TLS is configured. Set "
            "ENSEMBLE_TLS_CA to the certificate of the authority that signed the server's "
            "(and ENSEMBLE_TLS_CLIENT_CERT and ENSEMBLE_TLS_CLIENT_KEY for mutual TLS)."
        )
    return grpc.aio.insecure_channel(address, tuple(options))
