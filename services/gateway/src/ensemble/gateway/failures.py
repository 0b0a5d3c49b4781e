"""Errors of the orchestrator, as clients may read them."""

import grpc.aio

from ensemble.core.errors import EnsembleError, ServiceUnavailableError
from ensemble.transport.status import from_rpc_error, not_reached


def explain(error: grpc.aio.AioRpcError) -> EnsembleError:
    """Return the orchestrator's error; gRPC's own words name addresses that are not public."""
    if not_reached(error):
        return ServiceUnavailableError("The orchestrator cannot be reached just now; try again.")
    return from_rpc_error(error)
