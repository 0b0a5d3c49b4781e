"""Ways to break the promises on purpose, so that the suite can be seen to notice.

Each is put into the processes of a stack, or into the clients, by the entry point of the tests; no
switch for any of them exists in what is shipped.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ensemble.client.conversation import Conversation
from ensemble.core.errors import FencedOffError
from ensemble.eventlog import (
    Append,
    PostgresEventLog,
    SqliteEventLog,
    StreamKey,
    sqlite_event_log,
)
from ensemble.eventlog.stream_state import StreamState
from ensemble.orchestrator.membership import Membership
from ensemble.v1 import session_events_pb2

_EARLY_S = 0.2
_OVERLAP = 5


def send_before_commit() -> None:
    """Have the log say that a session's events are durable some time before they are."""
    for log in (SqliteEventLog, PostgresEventLog):
        _hurry(log)


def _hurry(log: Any) -> None:
    append = log.append
    under_way: dict[StreamKey, asyncio.Task[None]] = {}

    async def early(
        self: Any, batch: Sequence[Append], *, fence: int = 0, at: int = 0
    ) -> list[int]:
        first = batch[0]
        if first.stream.kind != "session" or not first.expected_seq:
            done: list[int] = await append(self, batch, fence=fence, at=at)
            return done
        before = under_way.get(first.stream)

        async def later() -> None:
            if before is not None:
                await before
            await asyncio.sleep(_EARLY_S)
            await append(self, batch, fence=fence, at=at)

        under_way[first.stream] = asyncio.create_task(later())
        seqs, seq = [], first.expected_seq
        for item in batch:
            seq += item.stream == first.stream
            seqs.append(seq if item.stream == first.stream else 0)
        return seqs

    log.append = early


def no_fencing() -> None:
    """Let an orchestrator that was taken for dead write on, and not hear of it."""
    state: Any = StreamState
    member: Any = Membership
    take, beat = state.take, member._beat

    def anybody(self: Any, item: Append, now: int, fence: int) -> Any:
        if item.expected_seq:
            item = replace(item, expected_seq=None)
        return take(self, item, now, self.fence)

    async def deaf(self: Any) -> None:
        try:
            await beat(self)
        except FencedOffError:
            return

    state.take, member._beat = anybody, deaf


def no_reserve() -> None:
    """Have the log's file grow with each commit, so that a full disk is met at once and not only
    once the room that it has set aside is used up."""
    settings: Any = sqlite_event_log
    settings._WAL_BYTES = 0


SABOTAGES: dict[str, Callable[[], None]] = {
    "send-before-commit": send_before_commit,
    "no-fencing": no_fencing,
    "no-reserve": no_reserve,
}
"""What is broken in the processes of a stack, by the name in ``CHAOS_SABOTAGE``."""


class Forgetful(Conversation):
    """A client that asks for more than it missed.

    Attributes:
        dedupes: It still drops what it has shown, as it should.
    """

    dedupes = True

    def _resumption(self) -> session_events_pb2.SessionStart:
        start = super()._resumption()
        start.resume_from_sequence = max(0, start.resume_from_sequence - _OVERLAP)
        if not self.dedupes:
            self.last_sequence = start.resume_from_sequence
        return start


class Gullible(Forgetful):
    """The same client, which shows whatever comes."""

    dedupes = False
