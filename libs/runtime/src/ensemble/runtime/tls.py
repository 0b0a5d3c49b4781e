"""TLS from the settings: for the listeners and for what is dialled."""

from pathlib import Path

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.transport.channel import Tls


def server_credentials(settings: RuntimeSettings) -> grpc.ServerCredentials | None:
    """Return what TCP listeners show, or None where no TLS is configured.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    pair = (_read(settings.tls_key, "KEY"), _read(settings.tls_cert, "CERT"))
    if settings.tls_client_ca is None:
        return grpc.ssl_server_credentials([pair])
    return grpc.ssl_server_credentials(
        [pair], _read(settings.tls_client_ca, "CLIENT_CA"), require_client_auth=True
    )


def client_tls(settings: RuntimeSettings) -> Tls | None:
    """Return what TCP peers are dialled with, or None where no TLS is configured.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    if settings.tls_ca is None:
        return None
    return Tls(
        root_certificates=_read(settings.tls_ca, "CA"),
        certificate_chain=_read(settings.tls_cert, "CERT") if settings.tls_cert else None,
        private_key=_read(settings.tls_key, "KEY") if settings.tls_key else None,
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"ENSEMBLE_TLS_{name}: {path} cannot be read ({error.strerror}).",
            metadata={"variable": f"ENSEMBLE_TLS_{name}"},
        ) from None
