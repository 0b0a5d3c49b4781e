"""What a tool is."""

import abc
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import msgspec

from ensemble.core.ids import new_id

Report = Callable[[float, float, str], Awaitable[None]]
"""Says how far a tool is: work done, all the work (0 where not known), what it does now."""


@dataclass(frozen=True)
class CallInfo:
    """What a tool knows about the call it serves.

    Attributes:
        session_id: Session that asked; may be empty.
        principal: Who asked; may be empty.
        identity: The same for every try of the same call and for no other call: what a tool
            names its effects by, so that a second try has none.
        report: Sends progress to the caller; waits for the caller's credit.
    """

    session_id: str
    principal: str
    identity: str
    report: Report


def identity_of(principal: str, idempotency_key: str) -> str:
    """Return 40 characters that stand for one call, random where it has no key."""
    seed = f"{principal}\0{idempotency_key}" if idempotency_key else new_id("call")
    return hashlib.sha256(seed.encode()).hexdigest()[:40]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of a tool; the JSON Schema that callers see is derived from the fields.

    What a schema cannot say is checked in ``__post_init__`` by raising ``ValueError``.
    """


class Result(msgspec.Struct, frozen=True):
    """Result of a tool; fields that are UNSET are left out of the JSON."""


class Nothing(Arguments, frozen=True):
    """No arguments."""


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=Result)


class Tool(abc.ABC, Generic[A, R]):
    """One thing the assistant can do.

    The class attributes are what ``ToolSpec`` says about it; ``examples`` are arguments as
    JSON text that show how it is called, and become part of its schema. A tool that declares
    none of ``idempotent``, ``idempotent_by_key`` and ``read_only`` must not be repeated: it is
    started at most once for each idempotency key, and whatever it ended with stays.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    arguments: ClassVar[type[Arguments]]
    result: ClassVar[type[Result]]
    utterances: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[tuple[str, ...]] = ("{}",)
    idempotent: ClassVar[bool] = False
    """Running it twice with the same arguments does no harm."""
    idempotent_by_key: ClassVar[bool] = False
    """It names its effects by ``CallInfo.identity``, so that a second try has none."""
    read_only: ClassVar[bool] = False
    """It changes nothing."""
    time_limit: ClassVar[float] = 10.0
    """Seconds it may run; a caller can only shorten it."""

    @property
    def repeatable(self) -> bool:
        """Whether it may run again when what became of the first try is not known."""
        return self.idempotent or self.idempotent_by_key or self.read_only

    @abc.abstractmethod
    async def run(self, arguments: A, call: CallInfo) -> R:
        """Do it.

        Raises:
            ToolFailedError: It cannot be done; the message tells the person why.
            EnsembleError: Something it needs failed.
        """
