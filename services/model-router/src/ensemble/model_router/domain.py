"""What a chat is made of, free of the wire."""

import asyncio
import enum
from dataclasses import dataclass, field

from ensemble.core.errors import EnsembleError


class Role(enum.StrEnum):
    """Who a message is from; the values are what chat templates and providers call them."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class StopReason(enum.Enum):
    """Why a model stopped."""

    COMPLETED = enum.auto()
    TOOL_CALLS = enum.auto()
    MAX_OUTPUT_TOKENS = enum.auto()
    CANCELLED = enum.auto()
    INTERRUPTED = enum.auto()


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a model may ask for; ``schema_json`` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema_json: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to run a tool; the arguments are kept byte for byte as it wrote them."""

    call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call, as JSON text; an error reads ``{"error": …, "message": …}``."""

    call_id: str
    content_json: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller wants answered.

    ``committed_text`` is the beginning of the answer that was already said,
    ``committed_model`` the model that said it, empty where that is not known. ``speculative``
    calls may be thrown away, so no tool call leaves them. ``max_output_tokens`` 0 means
    the model's own limit; ``temperature`` and ``seed`` None mean the model's own.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    model: str = ""
    max_output_tokens: int = 0
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    committed_text: str = ""
    committed_model: str = ""
    seed: int | None = None
    speculative: bool = False
    idempotency_key: str = ""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event, compare=False)
    """Set when the caller wants the answer stopped in order."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens read and written; ``cached`` is the part of ``read`` that needed no work."""

    read: int = 0
    written: int = 0
    cached: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.read + other.read, self.written + other.written, self.cached + other.cached
        )


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text, whole code points; ``tokens`` 0 where the provider does not say."""

    text: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a call's arguments."""

    call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The model stopped; always the last event of a chat."""

    stop: StopReason
    usage: TokenUsage
    declined: bool = False


ModelEvent = TextDelta | ToolCallDelta | ToolCall | Finished
"""What a model says while it answers."""


@dataclass(frozen=True, slots=True)
class Started:
    """A model took the call."""

    model: str
    engine: str


@dataclass(frozen=True, slots=True)
class Substituted:
    """Another model goes on."""

    from_model: str
    to_model: str
    reason: EnsembleError


@dataclass(frozen=True, slots=True)
class Settled:
    """The call is over and paid for; ``cost`` None where nothing is charged."""

    stop: StopReason
    usage: TokenUsage
    declined: bool
    model: str
    cost: "Cost | None" = None


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money in billionths of a unit of ``currency`` (ISO 4217)."""

    currency: str
    nanos: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.currency, self.nanos + other.nanos)


RouterEvent = Started | Substituted | TextDelta | ToolCallDelta | ToolCall | Settled
"""What the router says while a call is answered; ``Settled`` is the last."""
