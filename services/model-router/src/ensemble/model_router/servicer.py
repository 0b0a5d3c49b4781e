"""The contract's side of the model router."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from ensemble.core.errors import DrainingError, InvalidArgumentError, WrongFirstMessageError
from ensemble.model_router.chat_stream import ChatStream
from ensemble.model_router.convert import money_from
from ensemble.model_router.ports import State
from ensemble.model_router.router import Route, Router
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import model_router_service_pb2 as pb
from ensemble.v1 import model_router_service_pb2_grpc as pb_grpc

_PAGE = 100
_START_WAIT = 30.0


class ModelRouterServicer(pb_grpc.ModelRouterServiceServicer):
    """Serves ``Chat`` and ``ListModels``.

    Args:
        router: Answers.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._draining = False

    def drain(self) -> None:
        """Refuse new chats; those under way go on to their end."""
        self._draining = True

    async def Chat(
        self, request_iterator: AsyncIterator[pb.ChatRequest], context: Any
    ) -> AsyncIterator[pb.ChatResponse]:
        """Answer one conversation; the state machine is in the contract."""
        if self._draining:
            raise DrainingError
        try:
            async with asyncio.timeout(_START_WAIT):
                first = await anext(aiter(request_iterator), None)
        except TimeoutError:
            raise WrongFirstMessageError("No start came.") from None
        if first is None or first.WhichOneof("event") != "start":
            raise WrongFirstMessageError("The first message of a chat must be its start.")
        stream = ChatStream(self._router, first, request_iterator)
        responses = with_heartbeats(stream.responses(), _heartbeat)
        async with contextlib.aclosing(responses):
            async for response in responses:
                yield response

    async def ListModels(
        self,
        request: pb.ListModelsRequest,
        context: grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse],
    ) -> pb.ListModelsResponse:
        """List the models in the order in which they are tried."""
        routes = self._router.routes()
        if request.page_token and not request.page_token.isdecimal():
            raise InvalidArgumentError(
                violations={"page_token": "is not one that this service gave out"}
            )
        begin = int(request.page_token or 0)
        end = begin + (request.page_size or _PAGE)
        return pb.ListModelsResponse(
            models=[_info(route) for route in routes[begin:end]],
            next_page_token=str(end) if end < len(routes) else "",
        )


def _info(route: Route) -> pb.ModelInfo:
    model, condition = route.model, route.model.condition()
    resting = condition.state is State.READY and route.circuit.remaining > 0
    return pb.ModelInfo(
        name=model.name,
        engine=model.engine,
        capabilities=sorted(route.capabilities),
        context_tokens=model.context_tokens,
        input_price=money_from(route.price.currency, int(route.price.input * 10**9)),
        output_price=money_from(route.price.currency, int(route.price.output * 10**9)),
        available=condition.state is State.READY,
        unavailable_reason="It failed lately and is tried last." if resting else condition.reason,
    )


def _heartbeat() -> pb.ChatResponse:
    response = pb.ChatResponse()
    response.heartbeat.sent_at.GetCurrentTime()
    return response
