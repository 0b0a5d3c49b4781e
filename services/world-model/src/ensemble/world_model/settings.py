"""Settings of the world model, read from ``ENSEMBLE_WORLD_MODEL_…``."""

from dataclasses import dataclass
from pathlib import Path

from ensemble.core import paths


@dataclass(frozen=True)
class Settings:
    """How the world model runs.

    Attributes:
        database: SQLite file; empty for ``world.db`` under ``ENSEMBLE_HOME``.
    """

    database: str = ""

    def database_path(self) -> Path:
        """Return the file to open."""
        if self.database:
            return Path(self.database).expanduser().absolute()
        return paths.home() / "world.db"
