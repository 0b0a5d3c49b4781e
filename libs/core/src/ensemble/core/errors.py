"""The error catalogue: one row a reason.

A service raises the class; ``ensemble.transport.status`` turns it into a
``google.rpc.Status`` with one ``ErrorInfo`` and back into the same class on the
client. ``code`` is the name of a gRPC status code, so that this module needs no gRPC.
"""

from collections.abc import Mapping
from typing import ClassVar

DOMAIN = "ensemble"
"""The ``ErrorInfo.domain`` of every error in the catalogue."""


class EnsembleError(Exception):
    """A failure with a reason from the catalogue.

    Args:
        message: What to tell the caller; the row's public message when empty.
            It reaches clients, so it never holds user content of somebody else.
        metadata: The variable parts of the message, by lowerCamel key.
        retry_after: Seconds after which trying again may work, where known.
    """

    reason: ClassVar[str] = "INTERNAL"
    code: ClassVar[str] = "INTERNAL"
    public_message: ClassVar[str] = "Something went wrong inside Ensemble."
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message or self.public_message
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        super().__init__(self.message)

    def __init_subclass__(cls) -> None:
        known = CATALOGUE.get(cls.reason)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise TypeError(f"reason {cls.reason} is already {known.__qualname__}")
        CATALOGUE[cls.reason] = cls


CATALOGUE: dict[str, type[EnsembleError]] = {"INTERNAL": EnsembleError}
"""Every known error class by its reason."""


class InvalidArgumentError(EnsembleError):
    """The request does not meet the contract; ``violations`` says where."""

    reason = "INVALID_ARGUMENT"
    code = "INVALID_ARGUMENT"
    public_message = "The request does not meet the contract."

    def __init__(
        self,
        message: str = "",
        *,
        violations: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, metadata=metadata)
        self.violations = dict(violations or {})


class ConfigurationError(EnsembleError):
    """A setting is missing or wrong; the message says which and how to mend it."""

    reason = "CONFIGURATION"
    code = "FAILED_PRECONDITION"
    public_message = "A setting is missing or wrong."


class WrongFirstMessageError(EnsembleError):
    """A stream did not open with its start message."""

    reason = "WRONG_FIRST_MESSAGE"
    code = "FAILED_PRECONDITION"
    public_message = "The first message of this stream must be its start message."


class UnexpectedMessageError(EnsembleError):
    """A message that the state of its stream does not allow."""

    reason = "UNEXPECTED_MESSAGE"
    code = "FAILED_PRECONDITION"
    public_message = "This message is not allowed in the present state of the stream."


class CancelledError(EnsembleError):
    """The call was cancelled."""

    reason = "CANCELLED"
    code = "CANCELLED"
    public_message = "The call was cancelled."


class DeadlineExceededError(EnsembleError):
    """The call ran out of time."""

    reason = "DEADLINE_EXCEEDED"
    code = "DEADLINE_EXCEEDED"
    public_message = "The call ran out of time."
    retryable = True


class UnauthenticatedError(EnsembleError):
    """No valid API key came with the call."""

    reason = "UNAUTHENTICATED"
    code = "UNAUTHENTICATED"
    public_message = "A valid API key is required; send it as 'authorization: Bearer <key>'."


class RateLimitedError(EnsembleError):
    """The caller sends too much; try again later."""

    reason = "RATE_LIMITED"
    code = "RESOURCE_EXHAUSTED"
    public_message = "Too many requests; try again later."
    retryable = True


class TooManyStreamsError(EnsembleError):
    """The caller has as many streams open as it may."""

    reason = "TOO_MANY_STREAMS"
    code = "RESOURCE_EXHAUSTED"
    public_message = "Too many open streams; close one first."
    retryable = True


class ServiceUnavailableError(EnsembleError):
    """A peer service cannot be reached."""

    reason = "SERVICE_UNAVAILABLE"
    code = "UNAVAILABLE"
    public_message = "A service that this call needs is not available; try again."
    retryable = True


class PeerLostError(EnsembleError):
    """A stream's other side fell silent for longer than the heartbeat allows."""

    reason = "PEER_LOST"
    code = "UNAVAILABLE"
    public_message = "The other side of the stream went silent."
    retryable = True


class DrainingError(EnsembleError):
    """The service is shutting down and takes no new work."""

    reason = "DRAINING"
    code = "UNAVAILABLE"
    public_message = "The service is shutting down; try another instance."
    retryable = True


class EngineUnavailableError(EnsembleError):
    """A speech engine is missing or failed to load."""

    reason = "ENGINE_UNAVAILABLE"
    code = "UNAVAILABLE"
    public_message = "The engine is not available; 'ensemble doctor' says what is missing."
    retryable = True


class EngineFailedError(EnsembleError):
    """An engine crashed or gave up in the middle of its work."""

    reason = "ENGINE_FAILED"
    code = "UNAVAILABLE"
    public_message = "The engine failed; try again."
    retryable = True


class ModelUnavailableError(EnsembleError):
    """No model can answer: absent, not loaded, or its engine is down."""

    reason = "MODEL_UNAVAILABLE"
    code = "UNAVAILABLE"
    public_message = (
        "No language model is available. Put a GGUF into the models folder or set LLM_URL."
    )
    retryable = True


class ModelNotFoundError(EnsembleError):
    """The named model is not in the registry."""

    reason = "MODEL_NOT_FOUND"
    code = "NOT_FOUND"
    public_message = "There is no model of this name."


class ContextTooLongError(EnsembleError):
    """The prompt does not fit the model's context."""

    reason = "CONTEXT_TOO_LONG"
    code = "INVALID_ARGUMENT"
    public_message = "The conversation is longer than the model can read."


class InvalidAudioError(EnsembleError):
    """The audio cannot be read: truncated, empty, or of a kind not supported."""

    reason = "INVALID_AUDIO"
    code = "INVALID_ARGUMENT"
    public_message = "The audio cannot be read."


class UnsupportedAudioFormatError(EnsembleError):
    """A sample rate, channel count or encoding that is not supported."""

    reason = "UNSUPPORTED_AUDIO_FORMAT"
    code = "INVALID_ARGUMENT"
    public_message = "This audio format is not supported."


class VoiceNotFoundError(EnsembleError):
    """The named voice is not installed."""

    reason = "VOICE_NOT_FOUND"
    code = "NOT_FOUND"
    public_message = "There is no voice of this name."


class ToolNotFoundError(EnsembleError):
    """The named tool does not exist."""

    reason = "TOOL_NOT_FOUND"
    code = "NOT_FOUND"
    public_message = "There is no tool of this name."


class ToolArgumentsError(EnsembleError):
    """The arguments are not valid JSON or outside the tool's schema."""

    reason = "TOOL_ARGUMENTS_INVALID"
    code = "INVALID_ARGUMENT"
    public_message = "The arguments do not fit the tool's schema."


class ToolFailedError(EnsembleError):
    """The tool ran and failed."""

    reason = "TOOL_FAILED"
    code = "ABORTED"
    public_message = "The tool failed."


class ToolTimeoutError(EnsembleError):
    """The tool ran longer than it may."""

    reason = "TOOL_TIMEOUT"
    code = "DEADLINE_EXCEEDED"
    public_message = "The tool took too long."
    retryable = True


class SessionNotFoundError(EnsembleError):
    """No session has this id, or it belongs to somebody else."""

    reason = "SESSION_NOT_FOUND"
    code = "NOT_FOUND"
    public_message = "There is no session of this id."


class SessionBusyError(EnsembleError):
    """Another client took over this session's stream."""

    reason = "SESSION_TAKEN_OVER"
    code = "ABORTED"
    public_message = "Another client has taken over this session."


class SessionMovedError(EnsembleError):
    """Another orchestrator owns the session; ``metadata["owner"]`` is its address, if known."""

    reason = "SESSION_MOVED"
    code = "UNAVAILABLE"
    public_message = "The session has moved to another orchestrator; resume it."
    retryable = True


class FencedOffError(EnsembleError):
    """This instance is taken for dead: another one has its place, and it may write no more."""

    reason = "FENCED_OFF"
    code = "ABORTED"
    public_message = "This orchestrator was replaced while it did not answer."


class ToolOutcomeUnknownError(EnsembleError):
    """A tool that must not run twice was started, and what became of it is not known."""

    reason = "TOOL_OUTCOME_UNKNOWN"
    code = "ABORTED"
    public_message = "It is not known whether the tool has done its work; it was not run again."


class ResumeOutOfRangeError(EnsembleError):
    """``resume_from_sequence`` lies past the end of the session's log."""

    reason = "RESUME_OUT_OF_RANGE"
    code = "OUT_OF_RANGE"
    public_message = "The sequence to resume from lies past the end of the session."


class StorageFullError(EnsembleError):
    """The log cannot grow: the disk is full."""

    reason = "STORAGE_FULL"
    code = "RESOURCE_EXHAUSTED"
    public_message = "The disk under the log is full; free some space and try again."
    retryable = True


class StorageCorruptError(EnsembleError):
    """The log is damaged or not a log."""

    reason = "STORAGE_CORRUPT"
    code = "DATA_LOSS"
    public_message = "The log is damaged and was not opened."


class StorageUnavailableError(EnsembleError):
    """The log cannot be opened or written."""

    reason = "STORAGE_UNAVAILABLE"
    code = "UNAVAILABLE"
    public_message = "The log cannot be opened or written."
    retryable = True


class StorageLockedError(EnsembleError):
    """Another process holds the log."""

    reason = "STORAGE_LOCKED"
    code = "FAILED_PRECONDITION"
    public_message = "Another process already uses this data folder."


class StorageNotEmptyError(EnsembleError):
    """A backup is only restored into a log that has never been written to."""

    reason = "STORAGE_NOT_EMPTY"
    code = "FAILED_PRECONDITION"
    public_message = "The log is not empty; a backup is only restored into a new one."


class EventTooNewError(EnsembleError):
    """The log holds an event of a version that this program does not know."""

    reason = "EVENT_TOO_NEW"
    code = "FAILED_PRECONDITION"
    public_message = "The log was written by a newer Ensemble; run that version."


class ConflictError(EnsembleError):
    """The stream moved on since it was read."""

    reason = "CONFLICT"
    code = "ABORTED"
    public_message = "Somebody else wrote first; read again and retry."
    retryable = True


class EntityNotFoundError(EnsembleError):
    """The world model has no such entity."""

    reason = "ENTITY_NOT_FOUND"
    code = "NOT_FOUND"
    public_message = "Nothing is known by this name."


class BudgetExceededError(EnsembleError):
    """The call would cost more than its budget allows."""

    reason = "BUDGET_EXCEEDED"
    code = "RESOURCE_EXHAUSTED"
    public_message = "The budget of this call is used up."
