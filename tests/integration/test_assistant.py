"""What a person gets: typed questions, real tools, memory that outlives a restart."""

import asyncio
import json

import pytest

from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration


async def test_a_command_runs_a_tool_through_the_model(stack: Stack) -> None:
    answer = await stack.ask("turn on the kitchen light")
    assert [(t["name"], t["arguments"]) for t in answer["tools"]] == [
        ("set_device", {"room": "kitchen", "device": "light", "state": "on"})
    ]
    assert answer["tools"][0]["result"]["state"] == "on"
    assert answer["usage"]["output_tokens"] > 0
    assert "light" in answer["text"]
    assert answer["declined"] is False


async def test_the_world_is_remembered_from_one_session_to_the_next(stack: Stack) -> None:
    first = await stack.ask("turn off the office fan")
    second = await stack.ask("is the office fan on")
    assert first["session_id"] != second["session_id"]
    assert second["tools"][0]["name"] == "get_device"
    assert second["tools"][0]["result"]["state"] == "off"


@pytest.mark.parametrize(
    ("text", "tool", "key", "value"),
    [
        ("what is 12 times 7", "calculate", "value", "84"),
        ("remember that the car key is in the drawer", "remember", "fact", "in the drawer"),
        ("set a timer for 20 minutes", "set_timer", "amount", 20),
        ("what time is it", "get_time", None, None),
    ],
)
async def test_each_kind_of_request_uses_its_tool(
    stack: Stack, text: str, tool: str, key: str | None, value: object
) -> None:
    answer = await stack.ask(text)
    assert [t["name"] for t in answer["tools"]] == [tool]
    if key:
        assert answer["tools"][0]["result"][key] == value


async def test_what_lies_outside_is_declined_as_a_typed_outcome(stack: Stack) -> None:
    answer = await stack.ask("who won the world cup in 1998")
    assert answer["declined"] is True
    assert answer["tools"] == []
    assert answer["text"]


async def test_status_names_every_service_and_its_engine(stack: Stack) -> None:
    status, out, _ = await stack.command("status", "--json")
    rows = {row["name"]: row for row in json.loads(out)["services"]}
    assert status == 0
    assert len(rows) == 7
    assert all(row["state"] == "serving" for row in rows.values())
    assert rows["model-router"]["engine"] == "llama.cpp:household"
    assert rows["stt"]["engine"].startswith("pocketsphinx")
    assert rows["tts"]["engine"].startswith("espeak-ng")
    assert {row["transport"] for name, row in rows.items() if name != "gateway"} == {stack.topology}


async def test_state_and_timers_outlive_a_restart(own_stack: Stack) -> None:
    await own_stack.start()
    await own_stack.ask("turn on the bedroom lamp")
    timer = await own_stack.ask("set a timer for 8 seconds")
    assert timer["tools"][0]["name"] == "set_timer"
    await own_stack.restart()
    async with (
        own_stack.client() as client,
        client.converse(session_id=timer["session_id"], resume_from_sequence=0) as conversation,
        asyncio.timeout(20),
    ):
        async for event in conversation:
            if event.WhichOneof("event") == "notice":
                assert event.notice.kind == "timer"
                assert "8 second" in event.notice.text
                break
    known = await own_stack.ask("is the bedroom lamp on")
    assert known["tools"][0]["result"]["state"] == "on"


async def test_a_session_can_be_continued_and_is_listed(stack: Stack) -> None:
    first = await stack.ask("hello")
    _, out, _ = await stack.command("ask", "--json", "--session", first["session_id"], "thank you")
    assert json.loads(out)["session_id"] == first["session_id"]
    async with stack.client() as client:
        session = await client.get_session(first["session_id"])
        assert session.turn_count == 2
        assert first["session_id"] in [s.session_id for s in await client.list_sessions(limit=5)]
