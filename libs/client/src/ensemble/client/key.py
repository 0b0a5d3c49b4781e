"""The API key of local use."""

import os
from collections.abc import Mapping
from pathlib import Path

from ensemble.core import paths
from ensemble.core.errors import ConfigurationError

FILE_NAME = "api-key"


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that holds the key made at first run."""
    return paths.home(environ) / FILE_NAME


def default_api_key(environ: Mapping[str, str] = os.environ) -> str:
    """Return ``ENSEMBLE_API_KEY``, else the first key of the key file, else nothing.

    The file has a key a line, each followed by whom it stands for; ``#`` begins a comment.

    Raises:
        ConfigurationError: What is there cannot be a key: it could not be sent.
    """
    if key := environ.get("ENSEMBLE_API_KEY", "").strip():
        return _sendable(key, "ENSEMBLE_API_KEY")
    path = key_file(environ)
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    words = (line.split() for line in lines)
    first = next((row[0] for row in words if row and not row[0].startswith("#")), "")
    return _sendable(first, str(path))


def _sendable(key: str, where: str) -> str:
    if not all("!" <= letter <= "~" for letter in key):
        raise ConfigurationError(
            f"{where} holds no API key: a key has neither spaces nor other than ASCII characters."
        )
    return key
