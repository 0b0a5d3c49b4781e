"""The API key of local use."""

import os
from collections.abc import Mapping
from pathlib import Path

from ensemble.core import paths

FILE_NAME = "api-key"


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that holds the key made at first run."""
    return paths.home(environ) / FILE_NAME


def default_api_key(environ: Mapping[str, str] = os.environ) -> str:
    """Return ``ENSEMBLE_API_KEY``, else what the key file holds, else nothing."""
    if key := environ.get("ENSEMBLE_API_KEY"):
        return key
    try:
        return key_file(environ).read_text().strip()
    except OSError:
        return ""
