"""What every call passes on its way to a handler, the same in both placements."""

from collections.abc import Sequence

from ensemble.runtime.interceptors.auth import AuthenticatedCaller, TrustedCaller
from ensemble.runtime.interceptors.chain import Layer, RequestCheck, ServerChain
from ensemble.runtime.interceptors.context import DeadlineBudget, RequestId
from ensemble.runtime.interceptors.metrics import ServedCalls
from ensemble.runtime.interceptors.tracing import TraceContext, Tracing
from ensemble.runtime.metrics import CallMeter
from ensemble.runtime.service import Authenticator
from ensemble.transport.tracing import tracing_is_on

__all__ = ["Layer", "ServerChain", "server_chain"]


def server_chain(
    service: str,
    *,
    admission: Layer,
    check: RequestCheck,
    authenticator: Authenticator | None = None,
    meter: CallMeter | None = None,
    traced: bool = False,
) -> Sequence[ServerChain]:
    """Return the interceptors of one service, for every server that it is reached by.

    Outermost first: error translation, request id, deadline budget, tracing, metrics,
    authentication, admission, validation.

    Args:
        service: Its name.
        admission: Decides whether it takes calls now.
        check: Called with each request message.
        authenticator: Says who calls; without one the caller's word is taken.
        meter: Takes what is measured of each call.
        traced: Write spans; they are written too where a tracer is installed already.
    """
    layers: list[Layer] = [RequestId(service), DeadlineBudget()]
    # Asking for each call whether somebody traces would cost as much as all the rest.
    layers.append(Tracing() if traced or tracing_is_on() else TraceContext())
    if meter is not None:
        layers.append(ServedCalls(meter))
    layers.append(TrustedCaller() if authenticator is None else AuthenticatedCaller(authenticator))
    layers.append(admission)
    return [ServerChain(layers, check)]
