"""What the router needs of a model, whatever runs it."""

import enum
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from ensemble.model_router.domain import Call, ModelEvent


class State(enum.Enum):
    """Whether a model can answer."""

    READY = enum.auto()
    STARTING = enum.auto()
    UNAVAILABLE = enum.auto()


@dataclass(frozen=True, slots=True)
class Condition:
    """A model's state and, unless it is ready, why."""

    state: State
    reason: str = ""


class Model(Protocol):
    """One model that can be asked."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def engine(self) -> str:
        """What runs it, such as ``llama.cpp``."""

    @property
    def can_continue(self) -> bool:
        """It goes on behind ``Call.committed_text``."""

    @property
    def context_tokens(self) -> int:
        """Tokens it can read and write together; 0 where not known."""

    def condition(self) -> Condition:
        """Return whether it can answer now; never blocks."""

    async def start(self) -> None:
        """Load it, or begin to; a model that cannot be loaded is unavailable, not an error."""

    async def ready(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a starting model; True when it can answer."""

    async def close(self) -> None:
        """Free everything."""

    def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
        """Answer.

        Ends with one ``Finished``, also after ``call.cancelled`` was set. Closing the
        iterator stops the model at once.

        Raises:
            EnsembleError: The model failed; what was yielded before stands.
        """
