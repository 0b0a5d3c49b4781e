"""Where Ensemble keeps its state."""

import os
from collections.abc import Mapping
from pathlib import Path


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of all state: ``ENSEMBLE_HOME``, else the XDG data folder."""
    chosen = environ.get("ENSEMBLE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "ensemble"


def models(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder where a GGUF, a Whisper folder or a Piper voice is dropped."""
    return home(environ) / "models"


def ensure_private(folder: Path) -> Path:
    """Make ``folder`` if it is absent, readable by its owner only, and return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
