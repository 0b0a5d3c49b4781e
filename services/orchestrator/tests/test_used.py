"""What an answer used is told also when it was cut off."""

import sqlite3

import pytest
from orchestrator_rig import Rig, eventually

from ensemble.core.errors import EnsembleError
from ensemble.v1 import common_pb2

pytestmark = pytest.mark.unit


def row(rig: Rig) -> tuple[int, int]:
    with sqlite3.connect(f"file:{rig.settings.log}?mode=ro", uri=True) as connection:
        (found,) = connection.execute("SELECT input_tokens, output_tokens FROM agent_executions")
    return found


async def test_a_cancel_in_the_second_call_keeps_what_both_have_used(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.call("lamp")
    rig.peers.router.say("It is on.", token_s=30.0)
    async with rig.client() as client:
        await client.say("light")
        await client.until("response_text_delta")
        await client.send(response_cancel={})
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert (done.usage.input_tokens, done.usage.output_tokens) in ((20, 1), (10, 0))
    await rig.service.close()
    assert row(rig) == (done.usage.input_tokens, done.usage.output_tokens)


async def test_an_account_that_comes_late_is_left_out(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.call("lamp")
    rig.peers.router.say("It is on.", token_s=30.0)
    async with rig.client() as client:
        await client.say("light")
        await client.until("response_text_delta")
        await rig.peers.stop("model-router")
        await client.send(response_cancel={})
        done = (await client.until("response_done")).response_done
    assert (done.usage.input_tokens, done.usage.output_tokens) == (10, 0)


async def test_a_failure_in_the_second_call_keeps_what_the_first_has_used(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.call("lamp")
    rig.peers.router.say("It is on.", fail_after=2, error=EnsembleError())
    async with rig.client() as client:
        await client.say("light")
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_FAILED
    assert done.usage.input_tokens == 10


async def test_an_answer_that_a_later_process_ends_keeps_what_it_had_used(rig: Rig) -> None:
    rig.peers.tools.add("lamp", lambda _: {"ok": True})
    rig.peers.router.call("lamp")
    for _ in range(2):
        rig.peers.router.say("never said", first_s=30.0)
    async with rig.client() as client:
        await client.say("light")
        await eventually(lambda: len(rig.peers.router.starts) == 2)
    await rig.restart()
    await eventually(lambda: len(rig.peers.router.starts) == 3)
    await rig.restart()
    async with rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        done = (await back.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    assert (done.usage.input_tokens, done.usage.output_tokens) == (10, 0)
    await rig.service.close()
    assert row(rig) == (10, 0)
