"""What an operator is told while the assistant starts."""

import sys
from collections.abc import Mapping


def say(text: str) -> None:
    """Print a line for the operator, away from what scripts read."""
    print(f"ensemble: {text}", file=sys.stderr, flush=True)


def announce_failures(failures: Mapping[str, str]) -> None:
    """Say which services did not start yet, and why."""
    for name, reason in failures.items():
        say(f"{name} did not start, and is tried again: {reason}")
