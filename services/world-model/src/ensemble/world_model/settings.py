"""Settings of the world model, read from ``ENSEMBLE_WORLD_MODEL_…``."""

from dataclasses import dataclass
from pathlib import Path

from ensemble.core import paths


@dataclass(frozen=True)
class Settings:
    """How the world model runs.

    Attributes:
        database: SQLite file; None for ``world.db`` under ``ENSEMBLE_HOME``.
    """

    database: Path | None = None

    def database_path(self) -> Path:
        """Return the file to open."""
        return (self.database or paths.home() / "world.db").absolute()
