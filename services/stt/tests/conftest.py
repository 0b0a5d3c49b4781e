"""The service as its callers meet it."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ensemble.stt.app import SttService
from ensemble.stt.ports import Recognizer, VoiceDetection
from ensemble.stt.settings import Settings
from ensemble.testkit.fixtures.recognition_caller import Caller, Serve
from ensemble.testkit.fixtures.stream_caller import Served, serving
from ensemble.v1 import stt_service_pb2_grpc

# The sentences and voices that the recogniser is tuned with are those it is tested with.
sys.path.append(str(Path(__file__).parents[1] / "training"))


@pytest.fixture(params=["inproc", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def serve(transport: str) -> AsyncIterator[Serve]:
    """Start the service with given engines or settings, over each transport."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            recognizer: Recognizer | None = None,
            detection: VoiceDetection | None = None,
            **settings: Any,
        ) -> Served[Caller]:
            service = SttService(Settings(**settings), recognizer, detection)
            channel = await stack.enter_async_context(serving(service, transport))
            return Served(service, stt_service_pb2_grpc.SttServiceStub(channel), Caller)

        yield start


def _noise(seconds: float, level: float, rate: int = 16_000) -> NDArray[np.int16]:
    values = np.random.default_rng(0).normal(0, level * 32767 / 3, int(seconds * rate))
    loud = np.clip(values, -32767, 32767)
    # Every 20 ms is equally loud, so that a detector of loudness sees one run.
    loud[:: rate // 100] = level * 32767
    return loud.astype(np.int16)


@pytest.fixture
def loud() -> Any:
    """Seconds of what ``LoudnessDetection`` takes for speech."""
    return lambda seconds, rate=16_000: _noise(seconds, 0.5, rate)


@pytest.fixture
def quiet() -> Any:
    """Seconds of what it takes for silence."""
    return lambda seconds, rate=16_000: _noise(seconds, 0.01, rate)
