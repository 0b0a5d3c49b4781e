"""The model router as the orchestrator's language model."""

from collections.abc import Callable

import grpc

from ensemble.orchestrator.adapters.peer_stream import Peer, PeerStream, Settling
from ensemble.v1 import model_router_service_pb2, model_router_service_pb2_grpc


class RouterLanguageModel:
    """Asks the model router. Implements ``LanguageModel``.

    Args:
        channel: To the router.
        settling: Owner of chats that were left.
        patience_s: How long a patient call waits for a router that is restarting.
    """

    def __init__(self, channel: grpc.aio.Channel, settling: Settling, patience_s: float) -> None:
        self._stub = model_router_service_pb2_grpc.ModelRouterServiceStub(channel)
        self._peer = Peer("model router", settling)
        self._patience_s = patience_s

    def chat(
        self,
        start: model_router_service_pb2.ChatStart,
        *,
        patient: bool = False,
        late: Callable[[model_router_service_pb2.ChatResponse], None] | None = None,
    ) -> PeerStream[model_router_service_pb2.ChatRequest, model_router_service_pb2.ChatResponse]:
        """Ask a model."""
        request = model_router_service_pb2.ChatRequest()
        request.start.CopyFrom(start)
        return PeerStream(
            self._stub.Chat,
            model_router_service_pb2.ChatRequest,
            self._peer,
            request,
            patience_s=self._patience_s if patient else 0.0,
            late=late,
        )
