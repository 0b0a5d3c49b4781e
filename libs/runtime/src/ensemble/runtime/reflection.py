"""Server reflection, loaded when somebody asks: grpcurl does, services never do."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import grpc

_PREFIX: Final = "/grpc.reflection.v1alpha."


class Reflection(grpc.GenericRpcHandler):
    """Answers what services a server has and what their messages look like.

    Args:
        services: Full names of the services, such as ``ensemble.v1.SttService``.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = tuple(services)
        self._handlers: Sequence[grpc.GenericRpcHandler] = ()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of a reflection method, None for any other."""
        if not handler_call_details.method.startswith(_PREFIX):
            return None
        if not self._handlers:
            self._handlers = self._load()
        for handler in self._handlers:
            found = handler.service(handler_call_details)
            if found is not None:
                return found
        return None

    def _load(self) -> Sequence[grpc.GenericRpcHandler]:
        from grpc_reflection.v1alpha import _async, reflection_pb2_grpc

        collected = _Collected()
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            _async.ReflectionServicer(self._services), collected
        )
        return collected.handlers


class _Collected:
    """Stands in for a server and keeps what is added to it."""

    def __init__(self) -> None:
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self.handlers.extend(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        """Ignore: the same methods come as generic handlers too."""
