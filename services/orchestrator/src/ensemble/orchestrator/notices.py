"""What falls due: timers and reminders become notices, each once."""

import asyncio
import datetime
import json
from collections.abc import Sequence
from typing import Final

import structlog

from ensemble.core.errors import EnsembleError, SessionMovedError
from ensemble.eventlog import Append, EventLog, StreamKey
from ensemble.orchestrator.membership import Membership
from ensemble.orchestrator.ports import World
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.sessions import Sessions
from ensemble.orchestrator.stored import session_key
from ensemble.v1 import session_events_pb2, world_model_service_pb2

_LOG = structlog.get_logger()

KINDS: Final = ("timer", "reminder")
"""Kinds of entities whose firing is told."""

_PENDING: Final = "pending"
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_SKIPPED_AT_A_TIME: Final = 256
"""Changes of no interest after which the place in the world's history is kept anyway."""

_PENDING_LIMIT: Final = 100
"""Notices that a person is told of at once when they come back, newest first."""


class Notices:
    """Follows the world model and tells people what fell due.

    A firing is told to the session that asked for it; while nobody is attached there, to
    every attached session of the same principal; while there is none, to the next one that
    attaches. The place in the world's history, what is pending and what was told are in
    the log, so a restart neither loses nor repeats a notice.

    Of several orchestrators each one follows. The one that holds the session that asked tells;
    where nobody holds it, the first one to hold the notice does. The others wait for that and
    tell their own sessions of the person what is pending then.

    Args:
        world: What is followed.
        log: Where is kept what was told.
        sessions: Who is told.
        membership: In whose name it is told.
    """

    def __init__(
        self, world: World, log: EventLog, sessions: Sessions, membership: Membership
    ) -> None:
        self._world = world
        self._log = log
        self._sessions = sessions
        self._membership = membership
        self._tasks: list[asyncio.Task[None]] = []
        self._lock = asyncio.Lock()

    def start(self) -> None:
        """Begin to follow."""
        self._tasks = [asyncio.create_task(self._follow(kind)) for kind in KINDS]

    async def close(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def deliver_pending(self, session: Session) -> None:
        """Tell a session that was just attached what waits for its person."""
        async with self._lock:
            await self._deliver([session], session.owner.partition("/")[2])

    async def _deliver(self, hearers: Sequence[Session], principal: str) -> None:
        if hearers:
            heads = await self._log.heads(
                "notice", owner=principal, mark=_PENDING, limit=_PENDING_LIMIT
            )
            for head in reversed(heads):
                if not await self._is_mine(head.stream):
                    continue
                (first,) = await self._log.read(head.stream, limit=1)
                notice = session_events_pb2.Notice.FromString(first.payload)
                told = Append(head.stream, "told", b"", expected_seq=1, mark="")
                await self._tell_all(hearers, notice, (told,))

    async def _follow(self, kind: str) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                after = await self._place(kind)
                async with self._world.watch(kind, after) as changes:
                    skipped = 0
                    async for change in changes:
                        pause = _FIRST_PAUSE_S
                        if change.WhichOneof("event") != "changed":
                            continue
                        if await self._take(kind, change):
                            skipped = 0
                        elif (skipped := skipped + 1) >= _SKIPPED_AT_A_TIME:
                            skipped = 0
                            await self._log.append([_place_at(kind, change.sequence)])
            except EnsembleError as exc:
                _LOG.debug("world_away", kind=kind, reason=exc.reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _place(self, kind: str) -> int:
        head = await self._log.head(_place_key(kind))
        if head is None:
            return 0
        (last,) = await self._log.read(head.stream, head.last_seq - 1, limit=1)
        return int(last.payload)

    async def _take(self, kind: str, change: world_model_service_pb2.WatchResponse) -> bool:
        """Tell of a firing; False when the change is none."""
        entity = change.changed
        known = {attribute.name: attribute.value_json for attribute in entity.attributes}
        if entity.removed or _text(known, "status") != "fired":
            return False
        notice = session_events_pb2.Notice(
            subject_id=entity.name, kind=kind, text=_text(known, "label")
        )
        due = _text(known, "due_at")
        if due:
            notice.due_at.FromDatetime(datetime.datetime.fromisoformat(due))
        principal = _text(known, "principal")
        place = _place_at(kind, change.sequence)
        key = StreamKey("notice", f"{kind}/{entity.name}")
        asked = _text(known, "session_id")
        if await self._told_elsewhere(key, asked):
            # Only the place in the history was not kept, perhaps.
            await self._log.append([place])
            async with self._lock:
                await self._deliver(self._sessions.attached(principal), principal)
            return True
        async with self._lock:
            hearers = self._hearers(asked, principal)
            payload = notice.SerializeToString()
            mark = "" if hearers else _PENDING
            told = Append(key, "due", payload, expected_seq=0, owner=principal, mark=mark)
            if hearers:
                await self._tell_all(hearers, notice, (told, place))
            else:
                await self._log.append((told, place), fence=self._membership.fence)
                # Whoever's session the person comes back to may tell it.
                await self._membership.release([key])
        return True

    async def _told_elsewhere(self, key: StreamKey, asked: str) -> bool:
        """Wait while another one that lives has to tell; False when it is for this one."""
        while await self._log.head(key) is None:
            if asked and await self._membership.holds_elsewhere(session_key(asked)):
                await self._membership.next_beat()
            elif await self._is_mine(key):
                return False
            else:
                await self._membership.next_beat()
        return True

    async def _is_mine(self, key: StreamKey) -> bool:
        try:
            await self._membership.hold([key])
        except SessionMovedError:
            return False
        return True

    def _hearers(self, session_id: str, principal: str) -> list[Session]:
        asked = self._sessions.find_live(session_id)
        if asked is not None and asked.outbox is not None:
            return [asked]
        return self._sessions.attached(principal)

    async def _tell_all(
        self, hearers: Sequence[Session], notice: session_events_pb2.Notice, also: Sequence[Append]
    ) -> None:
        for number, session in enumerate(hearers):
            await self._tell(session, notice, () if number else also)

    async def _tell(
        self, session: Session, notice: session_events_pb2.Notice, also: Sequence[Append]
    ) -> None:
        event = session_events_pb2.ServerEvent(notice=notice)
        await session.tell(event, also)
        if session.conversation.config.HasField("output_audio"):
            session.say_unasked(notice.text)


def _place_key(kind: str) -> StreamKey:
    return StreamKey("place", kind)


def _place_at(kind: str, sequence: int) -> Append:
    return Append(_place_key(kind), "seen", str(sequence).encode())


def _text(known: dict[str, str], name: str) -> str:
    """Return an attribute that is a JSON string; empty if it is absent or something else."""
    try:
        value = json.loads(known.get(name, '""'))
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
