"""Serves the tool server beside a real world model."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ensemble.core.errors import EnsembleError
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.tool_server import app
from ensemble.tool_server.settings import Settings
from ensemble.transport import stream
from ensemble.transport.status import from_status
from ensemble.v1 import common_pb2, tool_pb2, tool_server_service_pb2_grpc
from ensemble.v1 import tool_server_service_pb2 as pb
from ensemble.v1.world_model_service_pb2_grpc import WorldModelServiceStub
from ensemble.world_model import app as world_app
from ensemble.world_model.settings import Settings as WorldSettings

WORLD = "world-model"
TOOLS = "tool-server"
_RUNTIME = RuntimeSettings(drain_notice_seconds=0, drain_streams_seconds=2, drain_grace_seconds=0.2)


class SettableClock:
    """A wall clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 14, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Answer:
    """Everything a tool call said."""

    events: list[pb.CallToolResponse]

    def kinds(self) -> list[str]:
        return [event.WhichOneof("event") for event in self.events]

    @property
    def started(self) -> pb.CallToolStarted:
        return next(event.started for event in self.events if event.HasField("started"))

    @property
    def result(self) -> tool_pb2.ToolResult:
        return next(event.result for event in self.events if event.HasField("result"))

    @property
    def value(self) -> Any:
        assert self.result.WhichOneof("outcome") == "result_json", self.result.error
        return json.loads(self.result.result_json)

    @property
    def error(self) -> EnsembleError:
        assert self.result.WhichOneof("outcome") == "error"
        return from_status(self.result.error)

    @property
    def done(self) -> pb.CallToolDone:
        assert self.events[-1].HasField("done")
        return self.events[-1].done


class Assistant:
    """Calls tools as the orchestrator does."""

    stub = tool_server_service_pb2_grpc.ToolServerServiceStub

    def __init__(self, host: Host, principal: str = "") -> None:
        self.tools = self.stub(host.peers.get(TOOLS))
        self._metadata = [("x-ensemble-principal", principal)] if principal else []

    def start(self, name: str, arguments: Any = None, **more: Any) -> pb.CallToolRequest:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        context = common_pb2.CallContext(
            session_id=more.pop("session_id", ""), idempotency_key=more.pop("key", "")
        )
        call = tool_pb2.ToolCall(call_id="call", name=name, arguments_json=text)
        start = pb.CallToolStart(call=call, context=context, **more)
        return pb.CallToolRequest(event_id="start", start=start)

    def open(self) -> Any:
        return self.tools.CallTool(metadata=self._metadata)

    async def answer(self, name: str, arguments: Any = None, **more: Any) -> Answer:
        async with stream(self.open()) as call:
            await call.write(self.start(name, arguments, **more))
            return Answer([event async for event in call if not event.HasField("heartbeat")])

    async def do(self, name: str, arguments: Any = None, **more: Any) -> Any:
        return (await self.answer(name, arguments, **more)).value


class House:
    """A world model, and a tool server that can be restarted without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SettableClock()
        self.settings = Settings()

    @asynccontextmanager
    async def world(self) -> AsyncIterator[WorldModelServiceStub]:
        settings = WorldSettings(database=self.folder / "world.db")
        host = Host({WORLD: lambda peers: world_app.build(settings, peers)}, _RUNTIME, environ={})
        async with host:
            assert not await host.settled()
            yield WorldModelServiceStub(host.peers.get(WORLD))

    @asynccontextmanager
    async def tools(self, address: str = "", build: Any = None) -> AsyncIterator[Host]:
        def standard(peers: Any) -> Any:
            return app.build(self.settings, peers, self.clock)

        environ = {"ENSEMBLE_WORLD_MODEL_ADDRESS": f"inproc:{WORLD}"}
        if address:
            environ["ENSEMBLE_TOOL_SERVER_ADDRESS"] = address
        listen = {TOOLS: [address] if address else []}
        host = Host({TOOLS: build or standard}, _RUNTIME, listen=listen, environ=environ)
        async with host:
            assert not await host.settled()
            yield host
