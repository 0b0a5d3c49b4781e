"""Settings of the tool server, read from ``ENSEMBLE_TOOL_SERVER_…``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the tool server runs.

    Attributes:
        time_limit: Seconds that any tool may run at most, whatever its own limit.
        kept_results: Results of calls with an idempotency key that are kept.
        kept_days: Days for which they are kept; 0 for no limit.
        unknown_days: Days for which a call is kept that was started and of which nobody knows
            how it ended; 0 for no limit.
    """

    time_limit: float = 10.0
    kept_results: int = 1024
    kept_days: float = 3.0
    unknown_days: float = 30.0

    def __post_init__(self) -> None:
        if self.time_limit <= 0:
            raise ValueError("time_limit must be above 0 seconds")
        if self.kept_results < 1:
            raise ValueError("kept_results must be at least 1")
        if self.kept_days < 0 or self.unknown_days < 0:
            raise ValueError("kept_days and unknown_days must not be below 0")
