"""A tool server is killed for good at each point of a call, and asked again after a restart."""

import asyncio
import contextlib
import sys
from pathlib import Path

import grpc
import journal_server
import pytest
from tool_house import Answer, Assistant

from ensemble.core.errors import ToolOutcomeUnknownError
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.transport import open_channel, stream
from ensemble.world_model import app as world_app
from ensemble.world_model.settings import Settings as WorldSettings

pytestmark = pytest.mark.unit


class Server:
    """The child process and a channel to it."""

    def __init__(self, folder: Path) -> None:
        self.world = f"unix:{folder}/w.sock"
        self.address = f"unix:{folder}/t.sock"
        self.journal = folder / "journal"
        self.process: asyncio.subprocess.Process | None = None

    def lines(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    @contextlib.asynccontextmanager
    async def running(self, phase=""):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            journal_server.__file__,
            self.world,
            self.address,
            str(self.journal),
            phase,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await self.says("serving")
            async with open_channel(self.address) as channel:
                yield Caller(channel)
        finally:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()

    async def says(self, line):
        async with asyncio.timeout(60):
            while (said := (await self.process.stdout.readline()).decode().strip()) != line:
                assert self.process.returncode is None, "it ended"
                assert said or not self.process.stdout.at_eof(), "it ended"

    async def call_until(self, phase, name, key):
        """Makes the call and kills the server where the call gets to ``phase``."""
        async with self.running(phase) as caller:
            call = asyncio.create_task(caller.answer(name, {"line": key}, key=key))
            await self.says(phase)
            self.process.kill()
            with pytest.raises(grpc.aio.AioRpcError):
                await call


class Caller(Assistant):
    """Calls tools through a plain channel."""

    def __init__(self, channel) -> None:
        self.tools = Assistant.stub(channel)
        self._metadata = []


@pytest.fixture
async def server(tmp_path):
    server = Server(tmp_path)
    settings = WorldSettings(database=tmp_path / "world.db")
    host = Host(
        {"world-model": lambda peers: world_app.build(settings, peers)},
        RuntimeSettings(drain_notice_seconds=0, drain_streams_seconds=2, drain_grace_seconds=0.2),
        listen={"world-model": [server.world]},
        environ={"ENSEMBLE_WORLD_MODEL_ADDRESS": server.world},
    )
    async with host:
        assert not await host.settled()
        yield server


async def again(server, name, key) -> tuple[Answer, Answer]:
    """Asks twice more after a restart, and once more after another one."""
    async with server.running() as caller:
        first = await caller.answer(name, {"line": key}, key=key)
        second = await caller.answer(name, {"line": key}, key=key)
    async with server.running() as caller:
        third = await caller.answer(name, {"line": key}, key=key)
    assert second.result == first.result == third.result
    assert second.started.replayed
    return first, second


@pytest.mark.parametrize("phase", journal_server.PHASES)
async def test_a_tool_that_must_not_be_repeated(server, phase):
    await server.call_until(phase, "deed", "k")
    done = ["k"] if phase in ("after-effect", "before-result", "after-result") else []
    assert server.lines() == done
    first, _ = await again(server, "deed", "k")
    match phase:
        case "before-start":
            assert first.value == {"lines": 1}
            assert not first.started.replayed
            assert server.lines() == ["k"]
        case "after-result":
            assert first.value == {"lines": 1}
            assert first.started.replayed
            assert server.lines() == ["k"]
        case _:
            assert isinstance(first.error, ToolOutcomeUnknownError)
            assert server.lines() == done


async def test_a_tool_that_may_be_repeated_runs_again(server):
    await server.call_until("after-effect", "chore", "k")
    async with server.running() as caller:
        assert await caller.do("chore", {"line": "k"}, key="k") == {"lines": 2}


async def test_a_stream_that_breaks_does_not_stop_it_and_the_key_gets_its_result(server):
    async with server.running() as caller:
        async with stream(caller.open()) as call:
            await call.write(caller.start("deed", {"line": "k"}, key="k"))
            assert (await call.read()).HasField("started")
        assert (await caller.answer("deed", {"line": "k"}, key="k")).value == {"lines": 1}
    assert server.lines() == ["k"]
