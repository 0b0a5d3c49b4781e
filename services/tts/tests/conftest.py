"""The service as its callers meet it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ensemble.testkit.fixtures import build_piper_voice
from ensemble.testkit.fixtures.stream_caller import Served, serving
from ensemble.testkit.fixtures.synthesis_caller import Caller, Serve
from ensemble.tts.app import TtsService
from ensemble.tts.ports import Synthesizer
from ensemble.tts.settings import Settings
from ensemble.v1 import tts_service_pb2_grpc


@pytest.fixture(params=["inproc", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def serve(transport: str) -> AsyncIterator[Serve]:
    """Start the service with given engines or settings, over each transport."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*synthesizers: Synthesizer, **settings: Any) -> Served[Caller]:
            service = TtsService(Settings(**settings), synthesizers or None)
            channel = await stack.enter_async_context(serving(service, transport))
            return Served(service, tts_service_pb2_grpc.TtsServiceStub(channel), Caller)

        yield start


@pytest.fixture(scope="session")
def piper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one Piper voice."""
    folder = tmp_path_factory.mktemp("models")
    build_piper_voice(folder, "en_US-test")
    return folder
