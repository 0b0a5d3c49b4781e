"""What one turn writes, in one append."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ensemble.eventlog import Append, PostgresEventLog, SqliteEventLog, StreamKey
from ensemble.v1 import session_events_pb2
from tests.bench.durable.work import ARGUMENTS, QUESTION, RESULT, TOOL, Work

_Event = session_events_pb2.ServerEvent


def _events() -> list[tuple[str, bytes]]:
    """Return the record of a turn: eight events, the text being one of them."""
    answer = "".join(Work().answer)
    call = {"call_id": "call", "name": TOOL, "arguments_json": ARGUMENTS}
    events = [
        _Event(input_committed={"turn_id": "turn_1", "text": QUESTION}),
        _Event(response_started={"response_id": "resp_1", "turn_id": "turn_1"}),
        _Event(response_tool_call={"response_id": "resp_1", "call": call}),
        _Event(
            response_tool_done={
                "response_id": "resp_1",
                "result": {"call_id": "call", "result_json": str(RESULT)},
            }
        ),
        _Event(response_text_delta={"response_id": "resp_1", "text": answer}),
        _Event(response_model_done={"response_id": "resp_1"}),
        _Event(response_text_done={"response_id": "resp_1"}),
        _Event(response_done={"response_id": "resp_1"}),
    ]
    return [(event.WhichOneof("event") or "", event.SerializeToString()) for event in events]


class TurnLog:
    """A log to which turns are appended. Used as a context manager.

    Args:
        store: Path of a file, or DSN of a Postgres database.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._events = _events()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "TurnLog":
        self._log: Any = (
            await PostgresEventLog.open(self._store)
            if "://" in self._store
            else await SqliteEventLog.open(Path(self._store))
        )
        self._stack.push_async_callback(self._log.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def append(self, dialogue: int) -> None:
        """Append a turn and return once it is durable."""
        key = StreamKey("session", f"dialogue-{dialogue}")
        await self._log.append([Append(key, kind, payload) for kind, payload in self._events])
