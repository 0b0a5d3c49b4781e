"""Errors of calls, said for the person who made them."""

from typing import Final

import grpc.aio

from ensemble.core.errors import (
    CancelledError,
    EnsembleError,
    FencedOffError,
    PeerLostError,
    ServiceUnavailableError,
)
from ensemble.transport.status import from_rpc_error, from_status, not_reached
from ensemble.v1 import common_pb2, session_events_pb2

_CUT: Final = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
"""What gRPC itself says of a stream that was reset, or whose frames broke off."""

_DETAILS: Final = "grpc-status-details-bin"


def explain(error: grpc.aio.AioRpcError, address: str) -> EnsembleError:
    """Return the error that the gateway sent, or what to do when there is no gateway."""
    if not_reached(error):
        return ServiceUnavailableError(
            f"No Ensemble answers at {address}. Start one with 'ensemble up' (or 'make run'), "
            "or set ENSEMBLE_GATEWAY_ADDRESS to where it is.",
            metadata={"address": address},
        )
    ours = any(key == _DETAILS for key, _ in error.trailing_metadata() or ())
    if error.code() in _CUT and not ours:
        return PeerLostError(f"The link to {address} was cut.", metadata={"address": address})
    return from_rpc_error(error)


def is_loss(error: EnsembleError) -> bool:
    """Return whether a stream that ends so can be taken up elsewhere, or in a moment."""
    # Nobody but a server that ends cancels what we read.
    return error.retryable or isinstance(error, CancelledError | FencedOffError)


def raise_failed(done: session_events_pb2.ResponseDone) -> None:
    """Raise the error of a response that failed; other endings pass."""
    if done.stop_reason == common_pb2.STOP_REASON_FAILED or done.HasField("error"):
        raise from_status(done.error)
