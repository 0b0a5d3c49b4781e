"""Settings of the tool server, read from ``ENSEMBLE_TOOL_SERVER_…``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the tool server runs.

    Attributes:
        time_limit: Seconds that any tool may run at most, whatever its own limit.
        kept_results: Results of calls with an idempotency key that are kept.
    """

    time_limit: float = 10.0
    kept_results: int = 1024

    def __post_init__(self) -> None:
        if self.time_limit <= 0:
            raise ValueError("time_limit must be above 0 seconds")
        if self.kept_results < 1:
            raise ValueError("kept_results must be at least 1")
