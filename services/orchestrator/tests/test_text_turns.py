"""Typed turns, through the real servicer."""

import pytest

from ensemble.v1 import common_pb2

pytestmark = pytest.mark.unit


async def test_a_typed_turn_is_answered(rig) -> None:
    rig.peers.router.say("The light is on now.")
    async with rig.client() as client:
        await client.say("turn on the light")
        events = await client.finish()
    assert client.text() == "The light is on now."
    assert client.of("input_committed")[0].text == "turn on the light"
    assert client.of("response_text_done")[0].text == "The light is on now."
    (done,) = client.of("response_done")
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert done.outcome == common_pb2.OUTCOME_ANSWERED
    assert done.usage.output_tokens == 5
    assert done.heard.end == len("The light is on now.")
    assert client.of("response_model")[0].model.model == "scripted"
    sequences = [event.sequence for event in events if event.sequence]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len({event.event_id for event in events}) == len(events)
    kinds = [event.WhichOneof("event") for event in events if event.sequence]
    assert kinds[:3] == ["started", "input_committed", "response_started"]
    assert kinds[-2:] == ["response_text_done", "response_done"]
