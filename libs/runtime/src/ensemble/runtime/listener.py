"""One address that a service listens on."""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from typing import Final

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.core.services import environment_prefix
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.tls import server_credentials
from ensemble.transport.address import host_of, is_local
from ensemble.transport.options import SERVER_OPTIONS

_PROBE_TIMEOUT: Final = 0.5
_LAST_PORT: Final = 65535


class Listener:
    """A gRPC server on one address.

    Args:
        service: Name of the service, for messages.
        address: ``HOST:PORT`` (port 0 for any), ``dns:///HOST:PORT`` or ``unix:PATH``.
        settings: TLS and limits.
        interceptors: The service's chain.
    """

    def __init__(
        self,
        service: str,
        address: str,
        settings: RuntimeSettings,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
    ) -> None:
        self._service = service
        self._variable = f"{environment_prefix(service)}LISTEN"
        self._wanted = address.removeprefix("dns:///").removeprefix("dns:")
        self._settings = settings
        limit = settings.max_message_bytes
        self.server = grpc.aio.server(
            interceptors=interceptors,
            options=(
                *SERVER_OPTIONS,
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
            ),
            maximum_concurrent_rpcs=settings.max_concurrent_calls,
        )
        self.address = self._wanted
        """Where it listens; after ``start`` with the port that was really taken."""

    @property
    def transport(self) -> str:
        """``unix`` or ``tcp``."""
        return "unix" if self._wanted.startswith("unix:") else "tcp"

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            ConfigurationError: The address is taken, cannot be used, or leaves this machine
                without TLS. The message says what to do.
        """
        if self.transport == "unix":
            await self._bind_unix()
        else:
            self._bind_tcp()
        await self.server.start()

    def _bind_tcp(self) -> None:
        host, _, port = self._wanted.rpartition(":")
        if not host or not port.isdigit() or int(port) > _LAST_PORT:
            raise self._refused(
                "is not an address", f"Set {self._variable} to HOST:PORT or unix:PATH."
            )
        credentials = server_credentials(self._settings)
        if credentials is None and not is_local(self._wanted):
            raise self._refused(
                "can be reached from other machines, and no TLS is configured",
                "Set ENSEMBLE_TLS_CERT and ENSEMBLE_TLS_KEY (and ENSEMBLE_TLS_CLIENT_CA to ask "
                f"clients for a certificate), or {self._variable} to an address such as "
                f"127.0.0.1:{port}.",
            )
        self._probe(host_of(self._wanted), int(port))
        try:
            if credentials is None:
                bound = self.server.add_insecure_port(self._wanted)
            else:
                bound = self.server.add_secure_port(self._wanted, credentials)
        except RuntimeError:
            # Between the probe and now, or a certificate that does not fit its key.
            raise self._refused("cannot be used", "Look into the log for why.") from None
        self.address = f"{host}:{bound}"

    def _probe(self, host: str, port: int) -> None:
        # Of a name with several addresses gRPC is content with one that is free, and where none
        # is, it does not say why.
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, where in found:
                with socket.socket(family, kind, protocol) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind(where)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise self._taken() from None
            if error.errno == errno.EAFNOSUPPORT:
                return
            raise self._refused(
                f"cannot be used ({error.strerror})",
                f"Set {self._variable} to another address.",
            ) from None

    async def _bind_unix(self) -> None:
        # gRPC removes a socket file that is in its way, also that of a server that lives.
        path = self._wanted.removeprefix("unix://").removeprefix("unix:")
        if await _answers(path):
            raise self._taken()
        try:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(os.stat(path).st_mode):
                    os.unlink(path)
            self.server.add_insecure_port(self._wanted)
            os.chmod(path, 0o600)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its folder is not there"
            raise self._refused(
                f"cannot be used ({reason})",
                f"Make the folder, or set {self._variable} to another address.",
            ) from None

    def _taken(self) -> ConfigurationError:
        return self._refused(
            "is taken by another program, perhaps by another Ensemble",
            f"Stop that one, or set {self._variable} to another address.",
        )

    def _refused(self, problem: str, advice: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._service} cannot listen on {self._wanted}: the address {problem}. {advice}",
            metadata={"service": self._service, "variable": self._variable},
        )


async def _answers(path: str) -> bool:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT):
            _, writer = await asyncio.open_unix_connection(path)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
