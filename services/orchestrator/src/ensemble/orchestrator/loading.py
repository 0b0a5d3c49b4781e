"""Conversations as the log tells them, many of them in few trips to the store."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ensemble.eventlog import EventLog, Glance, Head, Snapshot
from ensemble.orchestrator.conversation import Conversation
from ensemble.orchestrator.stored import STATE_VERSION, Reader, State, session_key
from ensemble.v1 import orchestrator_service_pb2


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session's stream from outside, and what it says."""

    head: Head
    conversation: Conversation


async def load(log: EventLog, session_ids: Sequence[str], limit: int) -> list[Loaded | None]:
    """Return conversations as the log tells them; None where there is no such session.

    Args:
        log: Where they are.
        session_ids: Which sessions.
        limit: Turns and answers that are kept of each.
    """
    glances = await log.glance([session_key(each) for each in session_ids])
    return [
        Loaded(glance.head, await _fold(log, glance, limit)) if glance else None
        for glance in glances
    ]


def begun(
    session_id: str,
    sequence: int,
    created_at: int,
    made: orchestrator_service_pb2.OpenSessionRequest,
    limit: int,
) -> Conversation:
    """Return the conversation of a session as its first event tells it.

    Args:
        session_id: Which session.
        sequence: Of the event.
        created_at: When it was made, in nanoseconds since the epoch.
        made: What it was made from.
        limit: Turns and answers that are kept.
    """
    conversation = Conversation(session_id, limit)
    conversation.create(sequence, made)
    conversation.session.create_time.FromNanoseconds(created_at)
    conversation.session.update_time.CopyFrom(conversation.session.create_time)
    return conversation


async def _fold(log: EventLog, glance: Glance, limit: int) -> Conversation:
    first, *page = glance.events
    made = orchestrator_service_pb2.OpenSessionRequest.FromString(first.payload)
    session_id = glance.head.stream.name
    conversation = begun(session_id, first.seq, first.created_at, made, limit)
    reader, after = Reader(log, session_id), first.seq
    state, noted_at = _noted(glance.snapshot)
    if state is not None:
        after = max(state.history_from - 1, after)
    for logged in page:
        after = logged.seq
        conversation.apply(await reader.decode(logged))
    if after < glance.head.last_seq:
        async for event in reader.all(after):
            if state is not None and event.sequence > noted_at:
                conversation.restore(state)
                state = None
            conversation.apply(event)
    if state is not None:
        conversation.restore(state)
    return conversation


def _noted(snapshot: Snapshot | None) -> tuple[State | None, int]:
    if snapshot is None:
        return None, 0
    try:
        state = msgspec.msgpack.decode(snapshot.payload, type=State)
    except msgspec.DecodeError:
        return None, 0
    return (state, snapshot.seq) if state.version == STATE_VERSION else (None, 0)
