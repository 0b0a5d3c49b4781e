"""kill -9 of any one process heals by itself, without touching the others."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time

import pytest

from ensemble.core.errors import EnsembleError
from ensemble.core.services import SERVICE_NAMES
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration

TOPOLOGY = "tcp"
"""Only a distributed placement has processes to kill."""

_RESTART_SECONDS = 15.0


async def test_a_killed_service_comes_back_and_the_others_stay(own_stack: Stack) -> None:
    await own_stack.start()
    for victim in SERVICE_NAMES:
        before = {name: own_stack.process_id(name) for name in SERVICE_NAMES}
        os.kill(before[victim], signal.SIGKILL)
        try:
            async with own_stack.client() as client, asyncio.timeout(20):
                answer = await client.ask("what time is it")
            assert answer.text
        except EnsembleError as error:
            assert error.retryable, f"{victim}: {error.reason}"
        await own_stack.wait_serving(_RESTART_SECONDS)
        after = {name: own_stack.process_id(name) for name in SERVICE_NAMES}
        assert after.pop(victim) != before.pop(victim)
        assert after == before
        assert (await own_stack.ask("turn on the garage light"))["tools"], victim


async def test_a_dead_process_is_started_again_within_a_second(own_stack: Stack) -> None:
    await own_stack.start()
    victim = own_stack.process_id("tts")
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    while time.monotonic() - killed < _RESTART_SECONDS:
        with contextlib.suppress(AssertionError):
            if own_stack.process_id("tts") != victim:
                break
        await asyncio.sleep(0.02)
    # The pause before a restart is 0.1 s by design; a slow machine only makes exec later.
    assert own_stack.process_id("tts") != victim


async def test_nothing_is_left_behind_when_it_stops(own_stack: Stack) -> None:
    await own_stack.start()
    processes = {name: own_stack.process_id(name) for name in SERVICE_NAMES}
    children = subprocess.run(
        ["pgrep", "-P", str(processes["model-router"])], capture_output=True, text=True, check=True
    ).stdout.split()
    assert children
    assert own_stack.stop() == 0
    for process in [*processes.values(), *map(int, children)]:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
