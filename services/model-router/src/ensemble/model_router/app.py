"""Puts the model router together."""

from collections.abc import Sequence

import grpc

from ensemble.model_router.model_set import ModelSet, model_maker
from ensemble.model_router.ports import State
from ensemble.model_router.registry import entries
from ensemble.model_router.router import Router
from ensemble.model_router.servicer import ModelRouterServicer
from ensemble.model_router.settings import Settings, from_environment
from ensemble.runtime.service import Channels, Service
from ensemble.v1 import model_router_service_pb2_grpc as pb_grpc

__all__ = ["Settings", "build", "from_environment"]


class ModelRouterService(Service):
    """The model router as the host runs it.

    It is healthy also without a model: calls then fail with ``MODEL_UNAVAILABLE``, and
    ``ListModels`` says why, until one is there.
    """

    name = "model-router"

    def __init__(self, settings: Settings) -> None:
        self._models = ModelSet(lambda: entries(settings), model_maker(settings))
        router = Router(self._models.routes, start_wait=settings.start_wait)
        self._servicer = ModelRouterServicer(router)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add the servicer to ``server``."""
        pb_grpc.add_ModelRouterServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Start the models."""
        await self._models.start()

    async def drain(self) -> None:
        """Refuse new chats; the open ones are short and end by themselves."""
        self._servicer.drain()

    async def close(self) -> None:
        """End the models and their processes."""
        await self._models.close()

    def engines(self) -> Sequence[str]:
        """Return the models that can answer, such as ``llama.cpp:household``."""
        models = [route.model for route in self._models.routes()]
        return tuple(
            f"{model.engine}:{model.name}"
            for model in models
            if model.condition().state is State.READY
        )


def build(settings: Settings, channels: Channels) -> Service:
    """Return the service.

    Args:
        settings: From ``settings.from_environment``.
        channels: Not needed: a model router calls no other service.
    """
    del channels
    return ModelRouterService(settings)
