"""Which instances are called, and what becomes of the calls when they change."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from aiohttp import web

from ensemble.core.errors import ConfigurationError
from ensemble.transport import open_channel
from ensemble.transport.consul import ConsulChannel, follow
from ensemble.transport.discovery import Instance, preferred, service_name, target_of
from ensemble.transport.options import CHANNEL_OPTIONS
from ensemble.transport.switching import SwitchingChannel

pytestmark = pytest.mark.unit

METHOD = "/probe.v1.ProbeService/Who"


def test_the_nearest_instances_are_preferred() -> None:
    here = Instance("10.0.0.1:1", node="kitchen", tier="edge")
    alike = Instance("10.0.0.2:1", node="attic", tier="edge")
    other = Instance("10.0.0.3:1", node="rack", tier="core")
    everyone = [other, alike, here]
    assert preferred(everyone, node="kitchen", tier="edge") == [here]
    assert preferred(everyone, node="cellar", tier="edge") == [here, alike]
    assert preferred(everyone, node="cellar", tier="standalone") == [here, alike, other]
    assert preferred(everyone) == [here, alike, other]
    assert preferred([]) == []


def test_instances_make_one_target() -> None:
    assert target_of([]) == ""
    assert target_of([Instance("10.0.0.1:1")]) == "ipv4:10.0.0.1:1"
    assert target_of([Instance("10.0.0.1:1"), Instance("10.0.0.2:2")]) == (
        "ipv4:10.0.0.1:1,10.0.0.2:2"
    )
    assert target_of([Instance("[::1]:1")]) == "ipv6:[::1]:1"
    assert target_of([Instance("stt.home:1")]) == "dns:///stt.home:1"
    mixed = [Instance("10.0.0.1:1"), Instance("[::1]:1"), Instance("10.0.0.2:1")]
    assert target_of(mixed) == "ipv4:10.0.0.1:1,10.0.0.2:1"


def test_names_in_consul() -> None:
    assert service_name("model-router") == "ensemble-model-router"


async def test_an_absent_agent_is_asked_again() -> None:
    answers: list[Any] = [
        ConnectionRefusedError(),
        ConnectionRefusedError(),
        (7, [Instance("a:1")]),
        (7, [Instance("a:1")]),
        ConnectionResetError(),
        (2, []),
        (1, [Instance("b:1")]),
        (3, [Instance("c:1")]),
    ]
    asked: list[int | None] = []

    async def query(index: int | None) -> tuple[int, list[Instance]]:
        asked.append(index)
        if not answers:
            await asyncio.Event().wait()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    seen = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    async for instances in follow(query):
        seen.append([instance.address for instance in instances])
        if len(seen) == 4:
            break
    assert seen == [["a:1"], [], ["b:1"], ["c:1"]]
    # An unchanged index is no news; after an error or a step back the agent is asked afresh.
    assert asked == [None, None, None, 7, 7, None, 2, None]
    assert loop.time() - began < 2


class Fleet:
    """Local servers that say who they are."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self.gate = asyncio.Event()

    async def start(self, name: bytes) -> int:
        async def who(request: bytes, context: Any) -> bytes:
            return name

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            yield name
            await self.gate.wait()
            yield name

        server = grpc.aio.server()
        handlers = {
            "Who": grpc.unary_unary_rpc_method_handler(who),
            "Stream": grpc.unary_stream_rpc_method_handler(stream),
        }
        server.add_registered_method_handlers("probe.v1.ProbeService", handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._stack.push_async_callback(server.stop, None)
        return port

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    running = Fleet()
    yield running
    await running.close()


def dial(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)


async def test_open_streams_finish_where_they_are(fleet: Fleet) -> None:
    first, second = await fleet.start(b"first"), await fleet.start(b"second")
    channel = SwitchingChannel(dial, "nobody")
    who = channel.unary_unary(METHOD)
    channel.switch(f"ipv4:127.0.0.1:{first}")
    stream = channel.unary_stream("/probe.v1.ProbeService/Stream")(b"")
    assert await stream.read() == b"first"
    assert await who(b"") == b"first"
    channel.switch(f"ipv4:127.0.0.1:{second}")
    channel.switch(f"ipv4:127.0.0.1:{second}")
    assert await who(b"") == b"second"
    fleet.gate.set()
    assert await stream.read() == b"first"
    assert await stream.read() is grpc.aio.EOF
    await channel.channel_ready()
    assert channel.get_state() is grpc.ChannelConnectivity.READY
    await channel.close()
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    with pytest.raises(grpc.aio.UsageError):
        who(b"")


async def test_calls_wait_for_the_first_destination(fleet: Fleet) -> None:
    port = await fleet.start(b"there")
    channel = SwitchingChannel(dial, "nobody")
    assert channel.get_state() is grpc.ChannelConnectivity.IDLE
    call = channel.unary_unary(METHOD)(b"", timeout=5)
    stream = channel.unary_stream("/probe.v1.ProbeService/Stream")(b"")
    gone = channel.unary_unary(METHOD)(b"")
    done: list[Any] = []
    call.add_done_callback(done.append)
    assert not call.done()
    assert not call.cancelled()
    assert call.time_remaining() is None
    assert gone.cancel()
    await asyncio.sleep(0.02)
    assert await gone.code() is grpc.StatusCode.CANCELLED
    assert gone.cancelled()
    assert gone.done()
    assert not gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    channel.switch(f"ipv4:127.0.0.1:{port}")
    assert await call == b"there"
    assert await call.code() is grpc.StatusCode.OK
    assert await call.details() == ""
    assert await call.initial_metadata() == grpc.aio.Metadata()
    assert await call.trailing_metadata() == grpc.aio.Metadata()
    assert done == [call]
    assert call.done()
    assert not call.cancelled()
    async for response in stream:
        assert response == b"there"
        break
    assert stream.cancel()
    await channel.close()


async def test_calls_do_not_wait_for_ever() -> None:
    channel = SwitchingChannel(dial, "nobody is known")
    call = channel.unary_unary(METHOD)(b"", timeout=0.05)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert raised.value.details() == "nobody is known"
    await channel.close()


class Agent:
    """Answers the two questions that a channel asks its Consul agent."""

    def __init__(self) -> None:
        self.index = 1
        self.entries: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/agent/self", self._self)
        app.router.add_get("/v1/health/service/{name}", self._health)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        server: Any = site._server
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._runner is not None
        self._changed.set()
        await self._runner.cleanup()

    def set(self, *ports: int, index: int | None = None, **entry: Any) -> None:
        self.entries = [_entry(port, **entry) for port in ports]
        self.index = self.index + 1 if index is None else index
        self._changed.set()
        self._changed = asyncio.Event()

    async def _self(self, request: web.Request) -> web.Response:
        return web.json_response({"Config": {"NodeName": "kitchen"}})

    async def _health(self, request: web.Request) -> web.Response:
        self.paths.append(request.path_qs)
        if request.query.get("index") == str(self.index):
            await self._changed.wait()
        return web.Response(
            text=json.dumps(self.entries), headers={"X-Consul-Index": str(self.index)}
        )


def _entry(port: int, node: str = "attic", identity: str = "") -> dict[str, Any]:
    return {
        "Node": {"Node": node, "Address": "127.0.0.1"},
        "Service": {
            "ID": identity or f"id-{port}",
            "Address": "",
            "Port": port,
            "Meta": {"tier": "edge"},
        },
    }


@pytest.fixture
async def agent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    running = Agent()
    await running.start()
    monkeypatch.setenv("CONSUL_HTTP_ADDR", f"127.0.0.1:{running.port}")
    yield running
    await running.stop()


async def eventually(channel: grpc.aio.Channel, expected: bytes) -> None:
    who = channel.unary_unary(METHOD)
    async with asyncio.timeout(5):
        while await who(b"", wait_for_ready=True) != expected:  # type: ignore[arg-type]
            await asyncio.sleep(0.01)


async def test_a_channel_follows_consul(agent: Agent, fleet: Fleet) -> None:
    first, second = await fleet.start(b"first"), await fleet.start(b"second")
    agent.set(first)
    channel = open_channel("consul:probe", interceptors=())
    assert await channel.unary_unary(METHOD)(b"") == b"first"  # type: ignore[arg-type]
    agent.set(second)
    await eventually(channel, b"second")
    assert agent.paths[0] == "/v1/health/service/ensemble-probe?passing=1"
    assert re.search(r"index=\d+&wait=55s", agent.paths[1])
    agent.set()
    await asyncio.sleep(0.05)
    assert await channel.unary_unary(METHOD)(b"") == b"second"  # type: ignore[arg-type]
    await channel.close()


async def test_an_agent_that_restarts_is_survived(agent: Agent, fleet: Fleet) -> None:
    first, second = await fleet.start(b"first"), await fleet.start(b"second")
    agent.set(first, index=40)
    channel = open_channel("consul:probe", interceptors=())
    who = channel.unary_unary(METHOD)
    assert await who(b"") == b"first"  # type: ignore[arg-type]
    await agent.stop()
    assert await who(b"") == b"first"  # type: ignore[arg-type]
    agent.set(index=1)
    await agent.start()
    assert await who(b"") == b"first"  # type: ignore[arg-type]
    agent.set(second, index=2)
    await eventually(channel, b"second")
    await channel.close()


async def test_calls_are_spread_over_equal_instances(agent: Agent, fleet: Fleet) -> None:
    agent.set(await fleet.start(b"first"), await fleet.start(b"second"))
    channel = open_channel("consul:probe", interceptors=())
    who = channel.unary_unary(METHOD)
    seen = set()
    async with asyncio.timeout(5):
        while len(seen) < 2:
            seen.add(await who(b""))  # type: ignore[arg-type]
    assert seen == {b"first", b"second"}
    await channel.close()


async def test_one_instance_can_be_named(agent: Agent, fleet: Fleet) -> None:
    first, second = await fleet.start(b"first"), await fleet.start(b"second")
    agent.set(first, second)
    channel = open_channel(f"consul:probe/id-{second}", interceptors=())
    for _ in range(5):
        assert await channel.unary_unary(METHOD)(b"") == b"second"  # type: ignore[arg-type]
    await channel.close()


async def test_this_node_comes_first(agent: Agent, fleet: Fleet) -> None:
    far, near = await fleet.start(b"far"), await fleet.start(b"near")
    agent.entries = [_entry(far), _entry(near, node="kitchen")]
    channel = ConsulChannel("probe", dial)
    for _ in range(5):
        assert await channel.unary_unary(METHOD)(b"") == b"near"
    await channel.close()


async def test_an_instance_elsewhere_is_not_called_without_tls(agent: Agent) -> None:
    agent.entries = [
        {
            "Node": {"Node": "attic", "Address": "10.1.2.3"},
            "Service": {"ID": "a", "Address": "", "Port": 1, "Meta": None},
        }
    ]
    channel = open_channel("consul:probe", interceptors=())
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary(METHOD)(b"", timeout=0.3)  # type: ignore[arg-type]
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "ensemble-probe" in (raised.value.details() or "")
    await channel.close()


async def test_a_wrong_agent_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "consul-without-a-port")
    with pytest.raises(ConfigurationError, match="CONSUL_HTTP_ADDR"):
        open_channel("consul:probe")


async def test_an_absent_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "consul", None)
    with pytest.raises(ConfigurationError, match=r"ensemble-transport\[consul\]"):
        open_channel("consul:probe")
