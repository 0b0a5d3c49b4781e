"""What a turn leaves is freed at once: serving processes seldom look for garbage."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from orchestrator_rig import Client, Rig, audio_out

from ensemble.v1 import session_pb2

pytestmark = pytest.mark.unit

TURNS = 5


@pytest.fixture
async def quiet_collector() -> AsyncIterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def text(rig: Rig, client: Client, turn: int) -> None:
    rig.peers.router.say("It is on.")
    await client.say("light")
    await client.until("response_done", turn)


async def tool(rig: Rig, client: Client, turn: int) -> None:
    rig.peers.router.call("lamp", '{"on": true}')
    await text(rig, client, turn)


async def failing(rig: Rig, client: Client, turn: int) -> None:
    rig.peers.router.call("absent")
    await text(rig, client, turn)


async def interrupted(rig: Rig, client: Client, turn: int) -> None:
    rig.peers.router.say("one two three", token_s=5.0)
    await client.say("count")
    await client.until("response_text_delta", turn)
    await client.send(response_cancel={})
    await client.until("response_done", turn)


@pytest.mark.parametrize("spoken", [False, True], ids=["written", "spoken"])
@pytest.mark.parametrize("take", [text, tool, failing, interrupted])
async def test_a_turn_leaves_nothing_that_refers_to_itself(
    rig: Rig,
    quiet_collector: None,
    take: Callable[[Rig, Client, int], Awaitable[None]],
    spoken: bool,
) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    config = session_pb2.SessionConfig(output_audio=audio_out() if spoken else None)
    async with rig.client(config=config) as client:
        for turn in range(1, TURNS + 1):
            await take(rig, client, turn)
        gc.collect()  # what is made once
        for turn in range(TURNS + 1, 2 * TURNS + 1):
            await take(rig, client, turn)
        assert gc.collect() < TURNS
