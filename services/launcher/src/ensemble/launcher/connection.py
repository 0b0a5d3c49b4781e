"""The client that the commands use."""

import os
from typing import TypedDict

from ensemble.client import EnsembleClient
from ensemble.core.errors import ConfigurationError


def gateway_address() -> str:
    """Return where the gateway is: ``ENSEMBLE_GATEWAY_ADDRESS``, else the default."""
    return os.environ.get("ENSEMBLE_GATEWAY_ADDRESS") or "127.0.0.1:7700"


def client() -> EnsembleClient:
    """Return a client of the gateway; TLS when ``ENSEMBLE_TLS_CA`` names an authority."""
    roots = None
    if path := os.environ.get("ENSEMBLE_TLS_CA"):
        try:
            with open(path, "rb") as file:
                roots = file.read()
        except OSError as error:
            raise ConfigurationError(
                f"ENSEMBLE_TLS_CA: {path} cannot be read: {error.strerror}."
            ) from error
    return EnsembleClient(gateway_address(), root_certificates=roots)


class Trying(TypedDict, total=False):
    """How long a conversation is tried; see ``EnsembleClient.converse``."""

    patience: float
    connect_within: float


def trying(patience: float | None) -> Trying:
    """Return what to tell a conversation of ``--patience``, which may not have been given."""
    return {} if patience is None else {"patience": patience, "connect_within": patience}
