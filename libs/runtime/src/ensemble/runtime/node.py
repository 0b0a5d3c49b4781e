"""NodeService: what runs in this process."""

import functools
import importlib.metadata
from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc

from ensemble.runtime.admission import State
from ensemble.v1 import node_service_pb2, node_service_pb2_grpc

SERVICE_NAME: Final = "ensemble.v1.NodeService"

_STATES: Final = {
    State.STARTING: node_service_pb2.SERVICE_STATE_STARTING,
    State.SERVING: node_service_pb2.SERVICE_STATE_SERVING,
    State.FAILED: node_service_pb2.SERVICE_STATE_FAILED,
    State.DRAINING: node_service_pb2.SERVICE_STATE_DRAINING,
}


@functools.cache
def version() -> str:
    """Return the version of the installed software."""
    try:
        return importlib.metadata.version("ensemble-runtime")
    except importlib.metadata.PackageNotFoundError:
        return ""


def service_status(
    *, name: str, state: State, detail: str, address: str, transport: str, engines: Iterable[str]
) -> node_service_pb2.ServiceStatus:
    """Return the status of one service of this process."""
    return node_service_pb2.ServiceStatus(
        name=name,
        state=_STATES[state],
        detail=detail,
        address=address,
        transport=transport,
        engines=engines,
        version=version(),
    )


class NodeServicer(node_service_pb2_grpc.NodeServiceServicer):
    """Answers ``DescribeNode``.

    Args:
        describe: Returns the services as they are now.
        instance_id: Id of this process, new at every start.
        tier: Tier it runs as.
    """

    def __init__(
        self,
        describe: Callable[[], Iterable[node_service_pb2.ServiceStatus]],
        instance_id: str,
        tier: str,
    ) -> None:
        self._describe = describe
        self._instance_id = instance_id
        self._tier = tier

    def add_to(self, server: Any) -> None:
        """Answer on ``server``."""
        node_service_pb2_grpc.add_NodeServiceServicer_to_server(self, server)

    async def DescribeNode(  # noqa: N802 - named by the contract
        self,
        request: node_service_pb2.DescribeNodeRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> node_service_pb2.DescribeNodeResponse:
        """Return the services of this process."""
        return node_service_pb2.DescribeNodeResponse(
            services=self._describe(), instance_id=self._instance_id, tier=self._tier
        )
