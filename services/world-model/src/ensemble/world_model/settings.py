"""Settings of the world model, read from ``ENSEMBLE_WORLD_MODEL_…``."""

from dataclasses import dataclass
from pathlib import Path

from ensemble.core import paths


@dataclass(frozen=True)
class Settings:
    """How the world model runs.

    Attributes:
        database: SQLite file; None for ``world.db`` under ``ENSEMBLE_HOME``.
        keep_removed_days: Days for which entities that were removed are kept with their history,
            and the ids of the requests that recorded them are known; 0 keeps them.
    """

    database: Path | None = None
    keep_removed_days: float = 30.0

    def __post_init__(self) -> None:
        if self.keep_removed_days < 0:
            raise ValueError("keep_removed_days must not be below 0")

    def database_path(self) -> Path:
        """Return the file to open."""
        return (self.database or paths.home() / "world.db").absolute()
