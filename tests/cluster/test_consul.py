"""Discovery through a real Consul agent that restarts and forgets."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.core.services import SERVICE_NAMES
from ensemble.testkit.consul import ConsulAgent
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.cluster

REGISTERED = {f"ensemble-{name}" for name in SERVICE_NAMES}


async def _until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.1)
    pytest.fail(what)


async def test_services_register_survive_the_agent_and_leave(
    consul_agent: ConsulAgent, tmp_path: Path
) -> None:
    stack = Stack("consul", tmp_path, consul=consul_agent.address)
    try:
        await stack.start()
        await _until(lambda: consul_agent.services() >= REGISTERED, "not all registered")
        assert (await stack.ask("turn on the kitchen light"))["tools"]

        await asyncio.to_thread(consul_agent.stop)
        # What was found before stays in use while nobody can be asked.
        assert (await stack.ask("is the kitchen light on"))["tools"]
        await asyncio.to_thread(consul_agent.start)
        await _until(
            lambda: consul_agent.services() >= REGISTERED,
            "an agent that came back empty was not told again",
        )
        assert (await stack.ask("turn off the kitchen light"))["tools"]

        stack.stop()
        await _until(
            lambda: not consul_agent.services() & REGISTERED, "services did not deregister"
        )
    finally:
        stack.close()
