"""What stays of a conversation: shown, exported, replayed, explained, verified, erased."""

import asyncio
import json
from pathlib import Path

import pytest

from ensemble.core.errors import SessionNotFoundError
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration


async def converse(stack: Stack) -> str:
    """Hold a conversation of two turns and return its session."""
    session = ""
    for line in ("turn on the nursery light", "thank you"):
        async with stack.client() as client:
            session = (await client.ask(line, session_id=session)).session_id
    return session


async def test_it_is_listed_and_shown(stack: Stack) -> None:
    session = await converse(stack)
    status, out, _ = await stack.command("sessions", "list", "--limit", "3", "--json")
    assert status == 0
    (row,) = [each for each in json.loads(out)["sessions"] if each["session_id"] == session]
    assert row["turns"] == 2
    status, out, _ = await stack.command("sessions", "show", session)
    assert status == 0
    assert "You: turn on the nursery light" in out
    assert "set_device" in out
    assert "Ensemble: The nursery light" in out


async def test_it_is_exported(stack: Stack, tmp_path: Path) -> None:
    session = await converse(stack)
    status, out, _ = await stack.command("sessions", "export", session)
    assert status == 0
    exported = json.loads(out)
    assert exported["session"]["sessionId"] == session
    sequences = [int(event["sequence"]) for event in exported["events"]]
    assert sequences == list(range(1, int(exported["session"]["lastSequence"]) + 1))
    file = tmp_path / "talk.md"
    status, out, _ = await stack.command(
        "sessions", "export", session, "--format", "markdown", "-o", str(file)
    )
    assert (status, out) == (0, "")
    assert "thank you" in file.read_text()


async def test_it_is_replayed_without_a_model_and_the_same_each_time(stack: Stack) -> None:
    session = await converse(stack)
    replays = []
    for _ in range(2):
        status, out, _ = await stack.command(
            "sessions", "replay", session, "--speed", "0", "--json"
        )
        assert status == 0
        replays.append(out)
    assert replays[0] == replays[1]
    status, out, _ = await stack.command("sessions", "replay", session, "--speed", "100")
    assert status == 0
    assert "> turn on the nursery light" in out
    assert "The nursery light" in out
    async with stack.client() as client:
        last = (await client.get_session(session)).last_sequence
    assert last == len(replays[0].splitlines())


async def test_somebody_may_look_on(stack: Stack) -> None:
    session = await converse(stack)
    async with stack.client() as client, asyncio.timeout(60):
        last = (await client.get_session(session)).last_sequence
        record = client.replay_session(session, after_sequence=last, follow=True)
        asking = asyncio.create_task(client.ask("thank you", session_id=session))
        seen = []
        async for event in record:
            seen.append(event)
            if event.WhichOneof("event") == "response_done":
                break
        await record.aclose()
        await asking
    assert [event.sequence for event in seen] == list(range(last + 1, last + 1 + len(seen)))


async def test_it_is_explained_from_its_record(stack: Stack) -> None:
    session = await converse(stack)
    status, out, _ = await stack.command("explain", session, "--json")
    assert status == 0
    explained = json.loads(out)
    (answer,) = explained["turns"][0]["answers"]
    models = [step for step in answer["steps"] if "model" in step]
    tools = [step for step in answer["steps"] if "executor" in step]
    assert [tool["name"] for tool in tools] == ["set_device"]
    assert tools[0]["result_bytes"] > 0
    assert tools[0]["duration_s"] >= 0
    assert [model["stop_reason"] for model in models] == ["tool_calls", "completed"]
    for model in models:
        assert model["model"]
        assert 0 <= model["first_output_s"] <= model["latency_s"]
        assert model["usage"]["output_tokens"] > 0
    assert explained["totals"]["model_calls"] == 3
    assert explained["totals"]["tool_runs"] == 1
    status, out, _ = await stack.command("explain", session)
    assert status == 0
    assert "tool set_device" in out
    assert "first output" in out


async def test_its_chain_is_verified(stack: Stack) -> None:
    session = await converse(stack)
    status, out, _ = await stack.command("sessions", "verify", session, "--json")
    assert status == 0
    (audit,) = json.loads(out)["sessions"]
    assert audit["intact"]
    assert len(audit["chain_head"]) == 64
    assert (await stack.command("sessions", "verify", "--all"))[0] == 0


async def test_it_is_erased(stack: Stack) -> None:
    session, other = await converse(stack), await converse(stack)
    status, out, err = await stack.command("sessions", "erase", session, "--yes", "--json")
    assert status == 0, err
    assert json.loads(out)["sessions"] == 1
    status, out, _ = await stack.command("sessions", "show", session, "--json")
    assert status == 1
    assert json.loads(out)["error"]["reason"] == "SESSION_NOT_FOUND"
    async with stack.client() as client:
        listed = [each.session_id for each in await client.list_sessions(limit=1000)]
        assert other in listed
        assert session not in listed
        with pytest.raises(SessionNotFoundError):
            await client.ask("hello", session_id=session)


async def test_all_are_erased_once_it_is_meant(own_stack: Stack) -> None:
    await own_stack.start()
    await converse(own_stack)
    await own_stack.ask("remember that the car key is in the drawer")
    assert (await own_stack.command("sessions", "erase", "--all"))[0] == 2
    status, out, err = await own_stack.command("sessions", "erase", "--all", "--yes", "--json")
    assert status == 0, err
    erased = json.loads(out)
    assert (erased["sessions"], erased["things"]) == (2, 1)
    await own_stack.restart()
    status, out, _ = await own_stack.command("sessions", "list", "--json")
    assert (status, json.loads(out)) == (0, {"sessions": []})
    status, _, err = await own_stack.command("explain")
    assert status == 1
    assert "SESSION_NOT_FOUND" in err
    answer = await own_stack.ask("where is the car key")
    assert "drawer" not in answer["text"]
    world = b"".join(file.read_bytes() for file in own_stack.home.glob("world.db*"))
    assert b"drawer" not in world


async def test_a_backup_of_what_runs_is_restored_elsewhere(stack: Stack, tmp_path: Path) -> None:
    await converse(stack)
    file = str(tmp_path / "backup")
    status, out, err = await stack.command("sessions", "backup", file, "--json")
    assert status == 0, err
    counts = json.loads(out)
    other = str(tmp_path / "other.db")
    status, out, err = await stack.command("sessions", "restore", file, "--store", other, "--json")
    assert status == 0, err
    assert json.loads(out) == counts
    status, _, err = await stack.command("sessions", "retain", "--older-than", "1d", "--yes")
    assert status == 1
    assert "STORAGE_LOCKED" in err


async def test_a_session_that_is_not_there(stack: Stack) -> None:
    for action in ("show", "export", "replay", "verify", "erase"):
        status, _, err = await stack.command("sessions", action, "ses_nothing")
        assert status == 1
        assert "SESSION_NOT_FOUND" in err
