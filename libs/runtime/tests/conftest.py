"""A world model whose every move a test decides, and the three ways to reach it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.service import Service
from ensemble.transport import open_channel
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs


class ScriptedService(Service):
    """Serves the world model's contract under any name; every hook can be replaced."""

    def __init__(self, name: str = "world-model") -> None:
        self.name = name
        self.said: list[str] = []
        self.on_start: Callable[[], Awaitable[None]] | None = None
        self.on_drain: Callable[[], Awaitable[None]] | None = None
        self.on_query: Callable[[Any, Any], Awaitable[Any]] | None = None
        self.on_watch: Callable[[Any, Any], AsyncIterator[Any]] | None = None
        self.asked_by: Any = None
        self.draining = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        stubs.add_WorldModelServiceServicer_to_server(_Servicer(self), server)

    async def start(self) -> None:
        self.said.append("start")
        if self.on_start is not None:
            await self.on_start()

    async def drain(self) -> None:
        self.said.append("drain")
        self.draining.set()
        if self.on_drain is not None:
            await self.on_drain()

    async def close(self) -> None:
        self.said.append("close")

    def engines(self) -> tuple[str, ...]:
        return ("scripted",)

    def authenticator(self) -> Any:
        return self.asked_by


class _Servicer(stubs.WorldModelServiceServicer):
    def __init__(self, service: ScriptedService) -> None:
        self._service = service

    async def Query(self, request: Any, context: Any) -> Any:
        if self._service.on_query is None:
            return pb.QueryResponse()
        return await self._service.on_query(request, context)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if self._service.on_watch is None:
            yield pb.WatchResponse(sequence=1)
            return
        async with contextlib.aclosing(self._service.on_watch(request, context)) as responses:
            async for response in responses:
                yield response


@pytest.fixture
def scripted() -> type[ScriptedService]:
    return ScriptedService


@pytest.fixture
def settings() -> RuntimeSettings:
    return RuntimeSettings(drain_streams_seconds=2.0, start_wait_seconds=5.0)


@pytest.fixture(params=["inproc", "unix", "tcp"])
def placement(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def listen(placement: str, tmp_path: Any) -> dict[str, str]:
    """Where a service listens in each placement; format with its name."""
    return {
        "inproc": {},
        "unix": {"address": f"unix:{tmp_path}/s.sock"},
        "tcp": {"address": "127.0.0.1:0"},
    }[placement]


@pytest.fixture
async def run(
    settings: RuntimeSettings, listen: dict[str, str]
) -> AsyncIterator[Callable[..., Awaitable[tuple[Host, Any]]]]:
    """Runs one service and returns its host and a stub that reaches it as the placement says."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            service: ScriptedService, *, settled: bool = True, **options: Any
        ) -> tuple[Host, Any]:
            where = {service.name: list(listen.values())}
            host = Host(
                {service.name: lambda _channels: service},
                options.pop("settings", settings),
                listen=where,
                environ={},
            )
            await stack.enter_async_context(host)
            if settled:
                await host.settled()
            address = next(iter(host.addresses_of(service.name)), f"inproc:{service.name}")
            channel = open_channel(address, **options)
            stack.push_async_callback(channel.close)
            return host, stubs.WorldModelServiceStub(channel)

        yield start
