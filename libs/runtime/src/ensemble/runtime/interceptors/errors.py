"""Turns whatever ends a call into a status that the client can understand."""

import asyncio
from typing import Any, Final

import grpc
import structlog

from ensemble.core.errors import CancelledError, EnsembleError
from ensemble.transport.status import from_rpc_error, to_status

_log = structlog.get_logger()

_DETAILS_KEY: Final = "grpc-status-details-bin"


def code_of(error: BaseException, context: grpc.aio.ServicerContext[Any, Any]) -> grpc.StatusCode:
    """Return the status code that ``error`` ends a call with."""
    if isinstance(error, EnsembleError):
        return grpc.StatusCode[error.code]
    if isinstance(error, grpc.aio.AbortError):
        code = context.code()
        return code if isinstance(code, grpc.StatusCode) else _CODES.get(code, _UNKNOWN)
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code()
    if isinstance(error, (asyncio.CancelledError, grpc.aio.InternalError)):
        remaining = context.time_remaining()
        late = remaining is not None and remaining <= 0
        return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
    return grpc.StatusCode.INTERNAL


_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_UNKNOWN: Final = grpc.StatusCode.UNKNOWN


async def end_call(
    method: str,
    context: grpc.aio.ServicerContext[Any, Any],
    error: Exception | asyncio.CancelledError,
) -> None:
    """End a call that failed with the status of ``error``. Raises, as gRPC's own abort does.

    Belongs outermost of all that is around a handler.
    """
    if isinstance(error, (grpc.aio.AbortError, grpc.aio.InternalError)):
        # The handler chose its status itself, or the client is gone.
        raise error
    if isinstance(error, asyncio.CancelledError):
        await _end_cancelled(context, error)
        return
    await _abort(context, _public(method, error))


async def _end_cancelled(
    context: grpc.aio.ServicerContext[Any, Any], error: asyncio.CancelledError
) -> None:
    # gRPC sends nothing when a cancellation leaves the handler, and the client would wait
    # until its own deadline. The client may be there still: a handler can be cancelled by
    # the service itself, or let out the cancellation of something it waited for.
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
    try:
        await _abort(context, CancelledError())
    except grpc.aio.InternalError:
        raise error from None


def _public(method: str, error: Exception) -> EnsembleError:
    if isinstance(error, EnsembleError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return from_rpc_error(error)
    _log.error("call.crashed", method=method, error=type(error).__name__, exc_info=error)
    return EnsembleError()


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: EnsembleError) -> None:
    status = to_status(error)
    trailers = [
        (key, value) for key, value in context.trailing_metadata() or () if key != _DETAILS_KEY
    ]
    trailers.append((_DETAILS_KEY, status.SerializeToString()))
    await context.abort(grpc.StatusCode[error.code], status.message, tuple(trailers))
