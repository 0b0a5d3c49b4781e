"""Ways to break the promises on purpose, so that the suite can be seen to notice.

Each is put into a process of a stack, or into the clients, by the entry point of the tests; no
switch for any of them exists in what is shipped.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from ensemble.orchestrator import record


def send_before_commit() -> None:
    """Have the orchestrator show events to the client a moment before they are durable."""
    recorder: Any = record.Recorder
    commit = recorder._commit

    async def early(self: Any, batch: list[Any]) -> None:
        on_committed = self._on_committed
        seq = on_committed.__self__.conversation.session.last_sequence
        for pending in batch:
            seq += 1
            on_committed(record._place(pending.event, self._key.name, seq))
        await asyncio.sleep(0.1)
        self._on_committed = lambda event: None
        try:
            await commit(self, batch)
        finally:
            self._on_committed = on_committed

    recorder._commit = early


SABOTAGES: dict[str, Callable[[], None]] = {
    "send-before-commit": send_before_commit,
}
