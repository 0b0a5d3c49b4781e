"""The service as its callers meet it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ensemble.runtime.admission import Admission, State
from ensemble.runtime.interceptors import server_chain
from ensemble.runtime.interceptors.validation import Validation
from ensemble.testkit.fixtures import build_piper_voice
from ensemble.testkit.fixtures.synthesis_caller import Serve, Served
from ensemble.transport import InProcessServer, open_channel
from ensemble.tts.app import TtsService
from ensemble.tts.ports import Synthesizer
from ensemble.tts.settings import Settings
from ensemble.v1 import tts_service_pb2_grpc


@pytest.fixture(params=["inproc", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def serve(transport: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """Start the service with given engines or settings, over each transport."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*synthesizers: Synthesizer, **settings: Any) -> Served:
            service = TtsService(Settings(**settings), synthesizers or None)
            admission = Admission("tts", 1.0)
            chain = server_chain("tts", admission=admission, check=Validation())
            if transport == "inproc":
                server: Any = InProcessServer("tts-under-test", interceptors=chain)
                address = "inproc:tts-under-test"
            else:
                server = grpc.aio.server(interceptors=chain)
                address = f"unix:{tmp_path_factory.mktemp('s')}/tts"
                server.add_insecure_port(address)
            service.add_to(server)
            await server.start()
            stack.push_async_callback(service.close)
            stack.push_async_callback(server.stop, 0)
            await service.start()
            admission.change(State.SERVING)
            channel = open_channel(address)
            stack.push_async_callback(channel.close)
            return Served(service, tts_service_pb2_grpc.TtsServiceStub(channel))

        yield start


@pytest.fixture(scope="session")
def piper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one Piper voice."""
    folder = tmp_path_factory.mktemp("models")
    build_piper_voice(folder, "en_US-test")
    return folder
