"""Blows to the orchestrator that holds a conversation, while its answer is being spoken."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable

from tests.chaos.run import Crowd
from tests.chaos.stack import Stack

AWAY_S = 2.3
"""Long enough that others go on before it comes back."""

Blow = Callable[[Stack, str], Awaitable[None]]
"""Strikes the process of a label."""


async def kill(stack: Stack, label: str) -> None:
    """Kill it; the same one starts again at once."""
    await stack.kill(label)


async def kill_for_a_while(stack: Stack, label: str) -> None:
    """Kill it and keep it away, so that it is others that have to go on."""
    stack.nodes[label].hold.clear()
    try:
        await stack.kill(label)
        await asyncio.sleep(AWAY_S)
    finally:
        stack.nodes[label].hold.set()


async def freeze_for_a_while(stack: Stack, label: str) -> None:
    """Stop it, and let it wake up when others have gone on."""
    await stack.freeze(label)
    try:
        await asyncio.sleep(AWAY_S)
    finally:
        await stack.nodes[label].signal(signal.SIGCONT)


async def strike(crowd: Crowd, blow: Blow, times: int, rng: random.Random) -> None:
    """Let ``crowd`` talk, and strike so often."""
    killer = crowd.aim()
    async with crowd.talking():
        for _ in range(times):
            await asyncio.sleep(rng.uniform(0.3, 1.0))
            person = await killer.in_phase("speaking") or rng.choice(crowd.people)
            await blow(crowd.stack, await crowd.stack.holder(person.record.session_id))
        # The last one is to heal as well.
        await asyncio.sleep(1.0)
