"""The error catalogue on the wire: ``google.rpc.Status`` with exactly one ``ErrorInfo``."""

import asyncio
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from ensemble.core.errors import (
    CATALOGUE,
    DOMAIN,
    CancelledError,
    DeadlineExceededError,
    EnsembleError,
    InvalidArgumentError,
    ServiceUnavailableError,
    UnauthenticatedError,
)

DETAILS_KEY: Final = "grpc-status-details-bin"
"""Trailing metadata that carries the whole ``google.rpc.Status``."""

RETRYABLE_KEY: Final = "retryable"
"""Key in the metadata of ``ErrorInfo``: whether the same call may work later, so that a
client which does not know the reason can still decide."""

# grpc.aio says this when a write was under way as the call ended, in place of the status
# that ended it: the peer died, or the deadline passed.
_LOST_IN_TRANSIT: Final = "Internal error from Core"

# gRPC says this, with UNKNOWN or UNAVAILABLE, of a stream whose connection broke before any
# status came.
_STREAM_REMOVED: Final = "Stream removed"

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

# What an error without a known reason becomes, by its code.
_BY_CODE: Final[dict[str, type[EnsembleError]]] = {
    "CANCELLED": CancelledError,
    "INVALID_ARGUMENT": InvalidArgumentError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "UNAVAILABLE": ServiceUnavailableError,
}


def to_status(error: BaseException) -> status_pb2.Status:
    """Return what a client may know of ``error``.

    An error from outside the catalogue becomes INTERNAL with its public message: its own
    text may hold what is not the client's to read.
    """
    known = _in_catalogue(error)
    metadata = dict(known.metadata)
    metadata[RETRYABLE_KEY] = "true" if known.retryable else "false"
    info = error_details_pb2.ErrorInfo(reason=known.reason, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=code_pb2.Code.Value(known.code), message=known.message)
    status.details.add().Pack(info)
    if known.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(known.retry_after * 1_000_000_000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(known, InvalidArgumentError) and known.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
            for field, description in known.violations.items()
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    return status


def from_status(status: status_pb2.Status) -> EnsembleError:
    """Return the error of the catalogue that ``status`` stands for.

    A reason that this version does not know keeps its name, its message and whether it
    is worth trying again, and is of the class that suits its code.
    """
    reason = ""
    metadata: dict[str, str] = {}
    retry_after: float | None = None
    violations: dict[str, str] = {}
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        bad = error_details_pb2.BadRequest()
        try:
            if detail.Unpack(info) and info.domain == DOMAIN:
                reason, metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(retry):
                retry_after = retry.retry_delay.ToNanoseconds() / 1_000_000_000
            elif detail.Unpack(bad):
                violations = {item.field: item.description for item in bad.field_violations}
        except DecodeError:
            continue
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return _build(code, reason, status.message, metadata, retry_after, violations)


def from_rpc_error(error: grpc.RpcError, service: str = "") -> EnsembleError:
    """Return the error of the catalogue that ended a call.

    Args:
        error: What the call raised.
        service: What the other side is called where it has not answered, and gRPC alone says
            something.
    """
    if not isinstance(error, grpc.aio.AioRpcError):
        return EnsembleError()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    details = error.details() or ""
    if service and error.code() in _NO_ANSWER:
        details = no_answer(service)
    return _build(error.code(), "", details, {}, None, {})


_NO_ANSWER: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def no_answer(service: str) -> str:
    """Return what is said of a service that does not answer."""
    return f"The {service} does not answer; 'ensemble status' shows what runs."


def not_reached(error: grpc.RpcError) -> bool:
    """Return whether the call never reached a server of ours: gRPC itself says UNAVAILABLE."""
    return (
        isinstance(error, grpc.aio.AioRpcError)
        and error.code() is grpc.StatusCode.UNAVAILABLE
        and all(key != DETAILS_KEY for key, _ in error.trailing_metadata() or ())
    )


def _in_catalogue(error: BaseException) -> EnsembleError:
    if isinstance(error, EnsembleError):
        return error
    if isinstance(error, grpc.RpcError):
        return from_rpc_error(error)
    if isinstance(error, asyncio.CancelledError):
        return CancelledError()
    return EnsembleError()


def _build(
    code: grpc.StatusCode,
    reason: str,
    message: str,
    metadata: dict[str, str],
    retry_after: float | None,
    violations: dict[str, str],
) -> EnsembleError:
    retryable = metadata.pop(RETRYABLE_KEY, "")
    if code is grpc.StatusCode.INTERNAL and message == _LOST_IN_TRANSIT:
        code, message = grpc.StatusCode.UNAVAILABLE, ""
    if not reason and message.startswith(_STREAM_REMOVED):
        code, message = grpc.StatusCode.UNAVAILABLE, ""
    known = CATALOGUE.get(reason)
    kind = known or _BY_CODE.get(code.name, EnsembleError)
    if kind is InvalidArgumentError:
        error: EnsembleError = InvalidArgumentError(
            message, violations=violations, metadata=metadata
        )
    else:
        error = kind(message, metadata=metadata, retry_after=retry_after)
    # The catalogue's values are those of the class; what came from another version, or
    # from no catalogue at all, is a matter of this one error.
    if known is None:
        vars(error)["code"] = code.name
        if reason:
            vars(error)["reason"] = reason
    if retryable:
        vars(error)["retryable"] = retryable == "true"
    elif retry_after is not None:
        vars(error)["retryable"] = True
    return error
