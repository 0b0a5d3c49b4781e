"""An orchestrator among scripted peers, reached through its real servicer."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

from ensemble.orchestrator.app import OrchestratorService, build
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.testkit.scripted import ScriptedPeers
from ensemble.testkit.scripted.peers import interceptors
from ensemble.transport import InProcessServer, open_channel
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import (
    common_pb2,
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
    session_pb2,
)

PATIENCE_S = 10.0
RATE = 16000

Event = session_events_pb2.ServerEvent


class Client:
    """One client's stream."""

    def __init__(self, stub: Any, start: session_events_pb2.SessionStart, who: str = "") -> None:
        self._stub = stub
        self._start = start
        self._who = who
        self.events: list[Event] = []
        self._news = asyncio.Condition()
        self.ended = asyncio.Event()
        self.error: Exception | None = None
        self._sequence = 0
        self.reading = asyncio.Event()
        self.reading.set()

    async def __aenter__(self) -> Self:
        metadata = (("x-ensemble-principal", self._who),) if self._who else ()
        self.call = self._stub.RunSession(metadata=metadata)
        await self.send(start=self._start)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.vanish()

    async def vanish(self) -> None:
        self.call.cancel()
        self._task.cancel()
        await asyncio.wait({self._task})

    async def send(self, **event: Any) -> None:
        self._sequence += 1
        event.setdefault("event_id", f"c{self._sequence}")
        client_event = session_events_pb2.ClientEvent(**event)
        await self.call.write(orchestrator_service_pb2.RunSessionRequest(event=client_event))

    async def say(self, text: str, item: int = 0) -> None:
        await self.send(input_text={"text": text, "item": item})

    async def speak(self, seconds: float, offset: int, loud: bool = True) -> int:
        """Send audio from ``offset`` on in runs of 20 ms; return the offset after it."""
        run = RATE // 50
        data = (b"\x10\x20" if loud else b"\x00\x00") * run
        for _ in range(round(seconds * 50)):
            await self.send(input_audio={"data": data, "offset_samples": offset})
            offset += run
        return offset

    async def finish(self) -> list[Event]:
        """Half-close and return everything."""
        await self.call.done_writing()
        async with asyncio.timeout(PATIENCE_S):
            await self.ended.wait()
        if self.error is not None:
            raise self.error
        return self.events

    async def until(self, branch: str, count: int = 1, where: Any = None) -> Event:
        """Return the ``count``-th event of a kind."""

        def found() -> list[Event]:
            return [
                event
                for event in self.events
                if event.WhichOneof("event") == branch and (where is None or where(event))
            ]

        async with asyncio.timeout(PATIENCE_S), self._news:
            while len(found()) < count:
                if self.ended.is_set():
                    raise self.error or AssertionError(
                        f"ended without {branch}; came: {self.kinds()}"
                    )
                await self._news.wait()
        return found()[count - 1]

    def of(self, branch: str) -> list[Any]:
        return [
            getattr(event, branch) for event in self.events if event.WhichOneof("event") == branch
        ]

    def kinds(self) -> list[str]:
        return [event.WhichOneof("event") or "" for event in self.events]

    @property
    def record(self) -> list[Event]:
        return [event for event in self.events if event.sequence]

    @property
    def session_id(self) -> str:
        started: session_events_pb2.SessionStarted = self.of("started")[0]
        return started.session.session_id

    def text(self, response_id: str = "") -> str:
        return "".join(
            delta.text
            for delta in self.of("response_text_delta")
            if response_id in ("", delta.response_id)
        )

    async def _read(self) -> None:
        responses = aiter(self.call)
        try:
            while True:
                await self.reading.wait()
                if (response := await anext(responses, None)) is None:
                    break
                if response.event.WhichOneof("event") == "heartbeat":
                    continue
                self.events.append(response.event)
                async with self._news:
                    self._news.notify_all()
        except grpc.RpcError as exc:
            self.error = from_rpc_error(exc)
        finally:
            self.ended.set()
            async with self._news:
                self._news.notify_all()


class Rig:
    """The orchestrator under test."""

    def __init__(
        self, peers: ScriptedPeers, settings: OrchestratorSettings, instance: str = ""
    ) -> None:
        self.peers = peers
        self.settings = settings
        self.service: OrchestratorService
        self._name = peers.address_of("orchestrator").removeprefix("inproc:") + instance

    async def start(self) -> None:
        self.service = build(self.settings, self.peers)
        self._server = InProcessServer(self._name, interceptors=interceptors("orchestrator"))
        self.service.add_to(self._server)
        await self._server.start()
        await self.service.start()
        self._channel = open_channel(f"inproc:{self._name}")
        self.stub = orchestrator_service_pb2_grpc.OrchestratorServiceStub(self._channel)

    async def stop(self, drain: bool = False) -> None:
        if drain:
            await self.service.drain()
        await self._channel.close()
        await self._server.stop(1)
        await self.service.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def client(self, who: str = "", **start: Any) -> Client:
        return Client(self.stub, session_events_pb2.SessionStart(**start), who)


def audio_out(rate: int = RATE) -> common_pb2.AudioFormat:
    return common_pb2.AudioFormat(encoding=1, sample_rate_hertz=rate, channel_count=1)


def voice_config(**rest: Any) -> session_pb2.SessionConfig:
    return session_pb2.SessionConfig(input_audio=audio_out(), output_audio=audio_out(), **rest)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
