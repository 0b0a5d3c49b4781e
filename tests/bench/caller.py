"""One client of an orchestrator: speaks, and notes when what arrives."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import grpc

from ensemble.orchestrator.app import build
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.runtime.service import Channels
from ensemble.transport import open_channel
from ensemble.v1 import (
    common_pb2,
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
    session_pb2,
    stt_service_pb2,
)
from tests.bench.instant_log import InstantLog
from tests.bench.scripted_node import serve

RATE: Final = 16_000
FRAME: Final = RATE // 50
_PATIENCE: Final = 20.0

Arrived = tuple[float, session_events_pb2.ServerEvent]


async def orchestrate(
    channels: Channels, log: Path | None, transport: str, stack: AsyncExitStack
) -> str:
    """Run an orchestrator until ``stack`` is closed and return where it is.

    Args:
        channels: Where its peers are.
        log: Its log; None for one whose commits take no time.
        transport: How it is reached.
        stack: Ends it.
    """
    settings = OrchestratorSettings(log=log)
    service = build(settings, channels)
    address = await serve("orchestrator", service.add_to, transport, stack)
    patched: Any = contextlib.nullcontext()
    if log is None:
        patched = patch("ensemble.orchestrator.app.SqliteEventLog", InstantLog)
    with patched:
        await service.start()
    stack.push_async_callback(service.close)
    return address


class Caller:
    """A spoken session. Used as a context manager.

    Args:
        address: Of the orchestrator.
        manual: The client says where a turn ends, instead of silence.
    """

    def __init__(self, address: str, *, manual: bool) -> None:
        self._address = address
        self._manual = manual
        self._offset = 0
        self.arrived: list[Arrived] = []

    async def __aenter__(self) -> "Caller":
        self._channel = open_channel(self._address)
        stub = orchestrator_service_pb2_grpc.OrchestratorServiceStub(self._channel)
        self._call: Any = stub.RunSession()
        detection = (
            stt_service_pb2.TURN_DETECTION_MANUAL
            if self._manual
            else stt_service_pb2.TURN_DETECTION_VAD
        )
        form = common_pb2.AudioFormat(encoding=1, sample_rate_hertz=RATE, channel_count=1)
        config = session_pb2.SessionConfig(
            input_audio=form, output_audio=form, turn_detection=detection
        )
        await self.send(start=session_events_pb2.SessionStart(config=config))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()
        await self._channel.close()

    async def send(self, **event: Any) -> None:
        """Send one client event."""
        wrapped = session_events_pb2.ClientEvent(**event)
        await self._call.write(orchestrator_service_pb2.RunSessionRequest(event=wrapped))

    async def audio(self, *, loud: bool) -> None:
        """Send 20 ms of sound or of silence."""
        data = (b"\x10\x20" if loud else b"\x00\x00") * FRAME
        await self.send(input_audio={"data": data, "offset_samples": self._offset})
        self._offset += FRAME

    async def report(self, response_id: str, samples: int) -> None:
        """Say how much of a response was played."""
        await self.send(playback_report={"response_id": response_id, "played_samples": samples})

    async def until(
        self, branch: str, meanwhile: Callable[[Any], Any] | None = None
    ) -> tuple[float, Any]:
        """Read until an event of a kind; return when it came, and its body.

        Raises:
            RuntimeError: The stream ended before.
        """
        async with asyncio.timeout(_PATIENCE):
            while (response := await self._call.read()) is not grpc.aio.EOF:
                now = time.monotonic()
                event = response.event
                kind = event.WhichOneof("event")
                if kind != "heartbeat":
                    self.arrived.append((now, event))
                if kind == branch:
                    return now, getattr(event, branch)
                if meanwhile is not None:
                    await meanwhile(event)
        raise RuntimeError(f"the session ended before {branch}")
