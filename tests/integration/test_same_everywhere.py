"""The same script leaves the same log behind, whatever the topology."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf import json_format

from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration

SCRIPT = (
    "turn on the hall way light",
    "is the hallway light on",
    "what is seven plus eight",
    "set the bedroom lamp to 30 percent",
    "tell me about the french revolution",
    "thank you",
)

_VOLATILE = {
    "eventId", "createdAt", "causedByEventId", "sequence", "responseId", "turnId", "callId",
    "at", "sessionId", "tokenCount", "cachedInputTokens",
    "createTime", "updateTime", "firstOutput", "latency",
}  # fmt: skip


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_volatile(v) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [_without_volatile(item) for item in value]
    return value


def _normalised(events: list[Any]) -> list[Any]:
    """Drop ids and times, and merge adjacent deltas."""
    rows: list[dict[str, Any]] = []
    for event in events:
        row = _without_volatile(json_format.MessageToDict(event))
        last = rows[-1] if rows else {}
        if "responseTextDelta" in row and "responseTextDelta" in last:
            last["responseTextDelta"]["text"] += row["responseTextDelta"]["text"]
        else:
            rows.append(row)
    return rows


async def record(stack: Stack) -> list[Any]:
    """Play the script in one session and return its log as a client replays it."""
    session = ""
    for line in SCRIPT:
        async with stack.client() as client:
            session = (await client.ask(line, session_id=session)).session_id
    events = []
    async with (
        stack.client() as client,
        client.converse(session_id=session, resume_from_sequence=0) as conversation,
    ):
        last = conversation.started.session.last_sequence
        async for event in conversation:
            if event.sequence:
                events.append(event)
            if event.sequence == last:
                break
    assert [event.sequence for event in events] == list(range(1, last + 1))
    return _normalised(events)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reference(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The log of the one-process placement."""
    alone = Stack("inproc", tmp_path_factory.mktemp("reference"))
    try:
        await alone.start()
        return await record(alone)
    finally:
        alone.close()


async def test_the_logs_are_equal(stack: Stack, reference: list[Any], tmp_path: Path) -> None:
    recorded = await record(stack)
    (tmp_path / "recorded.json").write_text(json.dumps(recorded, indent=1))
    assert recorded == reference
