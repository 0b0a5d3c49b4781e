"""An engine that takes its process down takes nothing else with it."""

import asyncio
import os
import signal
import subprocess

import pytest

from ensemble.core.errors import EnsembleError
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration


def _llama_children(stack: Stack) -> list[int]:
    return [
        int(found)
        for found in subprocess.run(
            ["pgrep", "-f", "-P", str(stack.process_id("model-router")), "llama_child"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
    ]


async def test_the_service_outlives_its_llama_child(stack: Stack) -> None:
    await stack.ask("hello")
    router = stack.process_id("model-router")
    (child,) = _llama_children(stack)

    async def ask() -> None:
        async with stack.client() as client, asyncio.timeout(20):
            try:
                assert (await client.ask("what can you do")).text
            except EnsembleError as error:
                assert error.retryable, error.reason

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0.01)
    os.kill(child, signal.SIGSEGV)
    await asking
    async with asyncio.timeout(20):
        while not (found := _llama_children(stack)) or found == [child]:
            await asyncio.sleep(0.05)
    assert stack.process_id("model-router") == router
    for _ in range(40):
        status, _, _ = await stack.command("ask", "hello")
        if status == 0:
            return
        await asyncio.sleep(0.25)
    pytest.fail(f"the model did not come back: {stack.log_tail()}")
