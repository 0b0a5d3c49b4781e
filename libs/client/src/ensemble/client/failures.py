"""Errors of calls, said for the person who made them."""

import grpc.aio

from ensemble.core.errors import EnsembleError, ServiceUnavailableError
from ensemble.transport.status import from_rpc_error, not_reached


def explain(error: grpc.aio.AioRpcError, address: str) -> EnsembleError:
    """Return the error that the gateway sent, or what to do when there is no gateway."""
    if not_reached(error):
        return ServiceUnavailableError(
            f"No Ensemble answers at {address}. Start one with 'ensemble up' (or 'make run'), "
            "or set ENSEMBLE_GATEWAY_ADDRESS to where it is.",
            metadata={"address": address},
        )
    return from_rpc_error(error)
