"""A model router that dies: the call is made again once, however often nobody took it."""

import pytest

from ensemble.core.errors import ServiceUnavailableError
from ensemble.v1 import common_pb2

pytestmark = pytest.mark.unit


def _break(router, refusals: int) -> None:  # type: ignore[no-untyped-def]
    """Have the next calls break before anybody has taken them."""
    answer = router._answer
    left = [None] * refusals

    async def refusing(reply, inbox):  # type: ignore[no-untyped-def]
        if left:
            left.pop()
            router.replies.appendleft(reply)
            raise ServiceUnavailableError
        async for event in answer(reply, inbox):
            yield event

    router._answer = refusing


async def test_a_call_that_nobody_took_is_not_the_one_more_try(rig) -> None:
    _break(rig.peers.router, refusals=3)
    rig.peers.router.say("Here I am.")
    async with rig.client() as client:
        await client.say("hello")
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert client.text() == "Here I am."
    assert not client.of("response_resumed"), "it was not made before, so not again"


async def test_a_call_that_was_taken_twice_is_not_made_a_third_time(rig) -> None:
    for _ in range(3):
        rig.peers.router.say("Here I am.", fail_after=1, error=ServiceUnavailableError())
    async with rig.client() as client:
        await client.say("hello")
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_FAILED
    assert len(rig.peers.router.starts) == 2


async def test_a_call_that_was_made_again_after_a_restart_is_not_made_a_third_time(rig) -> None:
    rig.peers.router.say("one two three four", token_s=0.3)
    async with rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta")
    rig.peers.router.say("and on", fail_after=1, error=ServiceUnavailableError())
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        done = (await back.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_FAILED
    assert len(rig.peers.router.starts) == 2
