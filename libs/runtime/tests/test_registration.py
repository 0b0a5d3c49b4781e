"""Being known in Consul, against an agent of a few lines that can forget and be away.

The real agent is met in tests/integration.
"""

import asyncio
import json

import pytest

from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.tier import Tier

pytestmark = pytest.mark.unit


class ScriptedAgent:
    """Speaks the three calls of Consul's agent that registration needs."""

    def __init__(self) -> None:
        self.services: dict[str, dict] = {}
        self.away = False
        self.asked = 0
        self._server: asyncio.Server | None = None
        self.address = ""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [
                int(line.split(":")[1])
                for line in head.lower().splitlines()
                if line.startswith("content-length:")
            ]
            body = await reader.readexactly(lengths[0]) if lengths else b""
            verb, path, _ = head.split(" ", 2)
            status, answer = self._answer(verb, path.partition("?")[0], body)
            text = json.dumps(answer).encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nX-Consul-Index: 1\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
            )
            await writer.drain()
        finally:
            writer.close()

    def _answer(self, verb, path, body):
        self.asked += 1
        if self.away:
            return 500, "No cluster leader"
        if path == "/v1/agent/service/register":
            service = json.loads(body)
            self.services[service.get("id") or service["ID"]] = service
            return 200, None
        if path.startswith("/v1/agent/service/deregister/"):
            self.services.pop(path.rsplit("/", 1)[-1], None)
            return 200, None
        assert path == "/v1/agent/services", (verb, path)
        return 200, self.services


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def hosting(scripted, agent, **settings):
    service = scripted("stt")
    return Host(
        {"stt": lambda _: service},
        RuntimeSettings(
            consul_address=agent.address,
            tier=Tier.EDGE,
            drain_notice_seconds=0.05,
            **settings,
        ),
        listen={"stt": ["127.0.0.1:0"]},
        environ={},
    )


async def test_a_listener_is_registered_with_its_check_and_leaves_when_drained(scripted):
    async with ScriptedAgent() as agent, hosting(scripted, agent) as host:
        await until(lambda: agent.services)
        (service,) = agent.services.values()
        port = int(host.addresses_of("stt")[0].rpartition(":")[2])
        assert service["name"] == "ensemble-stt"
        assert (service["address"], service["port"]) == ("127.0.0.1", port)
        assert service["meta"] == {"tier": "edge", "instance": host.instance_id}
        (check,) = service["checks"]
        assert check["grpc"] == f"127.0.0.1:{port}/ensemble.v1.SttService"
        assert check["interval"] == "1s"
        await host.drain()
        assert agent.services == {}


async def test_an_agent_that_forgets_is_told_again(scripted):
    async with ScriptedAgent() as agent, hosting(scripted, agent):
        await until(lambda: agent.services)
        agent.services.clear()
        await until(lambda: agent.services)


async def test_an_agent_that_is_away_is_waited_for(scripted):
    async with ScriptedAgent() as agent:
        agent.away = True
        async with hosting(scripted, agent) as host:
            assert await host.settled() == {}
            await until(lambda: agent.asked > 2)
            agent.away = False
            await until(lambda: agent.services)


async def test_a_node_can_leave_while_the_agent_is_away(scripted):
    async with ScriptedAgent() as agent, hosting(scripted, agent) as host:
        await until(lambda: agent.services)
        agent.away = True
        await host.drain()


async def test_another_host_name_may_be_told(scripted):
    async with ScriptedAgent() as agent, hosting(scripted, agent, advertise_host="10.9.8.7"):
        await until(lambda: agent.services)
        (service,) = agent.services.values()
        assert service["address"] == "10.9.8.7"


async def test_without_a_listener_there_is_nothing_to_register(scripted):
    async with ScriptedAgent() as agent:
        settings = RuntimeSettings(consul_address=agent.address)
        async with Host({"stt": lambda _: scripted("stt")}, settings, environ={}) as host:
            await host.settled()
            await host.drain()
        assert agent.asked == 0
