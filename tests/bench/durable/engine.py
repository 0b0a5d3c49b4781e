"""What the measures need of a system: it takes turns of dialogues."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from tests.bench.durable.work import Work

PACKAGES: Final = {"langgraph": "langgraph.graph", "dbos": "dbos"}
"""Module without which a system cannot be measured."""


@dataclass(frozen=True)
class Took:
    """Seconds of a turn, from its question to the first piece of the answer and to its end."""

    first: float
    done: float


class Engine(Protocol):
    """A system that takes turns."""

    async def turn(self, dialogue: int) -> Took:
        """Take one turn of a dialogue, which begins with its first turn."""

    async def ask_and_read_no_more(self, dialogue: int) -> None:
        """Begin a turn, take the first piece of its answer, and leave the rest unread."""

    @property
    def entered(self) -> int:
        """Answers that the model has begun."""

    async def size(self) -> int:
        """Bytes on disk, once everything that can wait was done."""


def open_engine(name: str, store: str, work: Work) -> AbstractAsyncContextManager[Engine]:
    """Return a system, to be entered.

    Args:
        name: ``ensemble``, ``ensemble-port`` (without channels: the model is injected),
            ``langgraph``, ``dbos`` or ``dbos-tokens``.
        store: Path of an SQLite file, DSN of a Postgres database, or empty for none.
        work: The turn that it takes.
    """
    # Each in a process of its own: what is not measured is not imported.
    if name.startswith("ensemble"):
        from tests.bench.durable.ensemble_engine import open_ensemble

        return open_ensemble(store, work, injected=name == "ensemble-port")
    if name == "langgraph":
        from tests.bench.durable.langgraph_engine import open_langgraph

        return open_langgraph(store, work)
    from tests.bench.durable.dbos_engine import open_dbos

    return open_dbos(store, work, tokens=name == "dbos-tokens")
