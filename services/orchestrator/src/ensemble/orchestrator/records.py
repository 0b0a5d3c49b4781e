"""What the log holds of sessions, for whom it belongs to: read, checked, erased."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Final

from ensemble.core.errors import SessionMovedError, SessionNotFoundError, StorageCorruptError
from ensemble.eventlog import Event, EventLog, StreamKey
from ensemble.orchestrator.inputs import accepted_key
from ensemble.orchestrator.opening import request_key
from ensemble.orchestrator.sessions import Owner, Sessions
from ensemble.orchestrator.stored import Reader, session_key
from ensemble.v1 import orchestrator_service_pb2, session_events_pb2, session_pb2

_PAGE: Final = 256
_LOOK_SECONDS: Final = 1.0
"""How often a silent record that is followed is looked at: is it still there?"""

_ERASED_AT_ONCE: Final = 100
"""Sessions, or notices, that one transaction erases."""


class Records:
    """Serves the records of sessions without running them.

    Args:
        log: Where they are.
        sessions: The sessions in memory.
    """

    def __init__(self, log: EventLog, sessions: Sessions) -> None:
        self._log = log
        self._sessions = sessions

    async def read(
        self, owner: Owner, session_id: str, after: int = 0, *, follow: bool = False
    ) -> AsyncGenerator[session_events_pb2.ServerEvent, None]:
        """Yield the events of a session's record after sequence ``after``.

        Args:
            owner: Who asks.
            session_id: Which session.
            after: Sequence before the first event that is wanted.
            follow: Go on with events as they are committed; else end with the last one.

        Raises:
            SessionNotFoundError: There is none of this id, it is somebody else's, or it was
                erased while it was followed.
        """
        key = await self._own(owner, session_id)
        reader = Reader(self._log, session_id)
        if follow:
            async with aclosing(self._follow(owner, key, after)) as events:
                async for event in events:
                    yield await reader.decode(event)
            return
        while page := await self._log.read(key, after, _PAGE):
            for event in page:
                yield await reader.decode(event)
            after = page[-1].seq

    async def audit(self, owner: Owner, session_id: str) -> session_pb2.SessionAudit:
        """Check the hash chain of a session's record.

        One that was erased belongs to nobody any more, and says nothing but that it was there:
        whoever knows its id may check it.

        Raises:
            SessionNotFoundError: There is none of this id, or it is somebody else's.
        """
        key = session_key(session_id)
        head = await self._log.head(key)
        if head is None or head.owner not in ("", str(owner)):
            raise SessionNotFoundError(metadata={"sessionId": session_id})
        found = await self._log.audit(key)
        return session_pb2.SessionAudit(
            session_id=session_id,
            intact=found.intact,
            events=found.events,
            erased=found.erased,
            first_bad_sequence=found.first_bad_seq,
            chain_head=found.chain_head,
        )

    async def erase(
        self, owner: Owner, session_id: str = ""
    ) -> orchestrator_service_pb2.EraseRecordsResponse:
        """Erase one session, or all that the log holds of ``owner``.

        Sessions that other orchestrators hold are left to them: the response says where.

        Raises:
            SessionNotFoundError: There is none of this id, or it is somebody else's.
            SessionMovedError: Another orchestrator holds this one.
            UnexpectedMessageError: An answer is under way in one of them; nothing is erased.
        """
        if session_id:
            await self._own(owner, session_id)
            async with self._sessions.barred(session_id):
                return await self._erase_sessions(owner, [session_id])
        # Notices belong to a person wherever they were made, so they carry no tenant.
        notices = await self._names("notice", owner.principal)
        session_ids = await self._names("session", str(owner))
        elsewhere: set[str] = set()
        async with AsyncExitStack() as held:
            # All of them first: a session that is busy keeps the others as they are, too.
            self._sessions.check_quiet(session_ids)
            mine = []
            for each in session_ids:
                try:
                    await held.enter_async_context(self._sessions.barred(each))
                except SessionMovedError as moved:
                    elsewhere.add(moved.metadata.get("owner", ""))
                else:
                    mine.append(each)
            erased = await self._erase_sessions(owner, mine)
        erased.elsewhere.extend(sorted(elsewhere))
        for some in _chunks(notices):
            gone = await self._log.erase([StreamKey("notice", name) for name in some])
            erased.events += gone.events
        return erased

    async def _erase_sessions(
        self, owner: Owner, session_ids: list[str]
    ) -> orchestrator_service_pb2.EraseRecordsResponse:
        erased = orchestrator_service_pb2.EraseRecordsResponse(sessions=len(session_ids))
        for some in _chunks(session_ids):
            keys = [key(each) for each in some for key in (session_key, accepted_key)]
            keys += await self._requests(owner, some)
            erased.events += (await self._log.erase(keys)).events
        return erased

    async def _requests(self, owner: Owner, session_ids: Iterable[str]) -> list[StreamKey]:
        """Return the streams that say which request made these sessions."""
        found: list[StreamKey] = []
        for each in session_ids:
            # What is damaged can be erased all the same.
            with suppress(StorageCorruptError):
                (first,) = await self._log.read(session_key(each), limit=1)
                made = orchestrator_service_pb2.OpenSessionRequest.FromString(first.payload)
                if made.request_id:
                    found.append(request_key(str(owner), made.request_id))
        return found

    async def _names(self, kind: str, owner: str) -> list[str]:
        names: list[str] = []
        before = None
        while heads := await self._log.heads(kind, owner=owner, before=before, limit=_PAGE):
            names += [head.stream.name for head in heads]
            before = heads[-1].position
        return names

    async def _follow(
        self, owner: Owner, key: StreamKey, after: int
    ) -> AsyncGenerator[Event, None]:
        tail = aiter(self._log.tail(key, after))
        while True:
            coming = asyncio.ensure_future(anext(tail))
            try:
                while not coming.done():
                    await asyncio.wait({coming}, timeout=_LOOK_SECONDS)
                    # An erasure, which another orchestrator may have made, is no event.
                    if not coming.done():
                        await self._own(owner, key.name)
                event = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming.cancel()
                await asyncio.wait({coming})
            if event.erased:
                raise SessionNotFoundError(metadata={"sessionId": key.name})
            yield event

    async def _own(self, owner: Owner, session_id: str) -> StreamKey:
        key = session_key(session_id)
        head = await self._log.head(key)
        if head is None or head.owner != str(owner):
            raise SessionNotFoundError(metadata={"sessionId": session_id})
        return key


def _chunks(names: list[str]) -> Iterator[Iterable[str]]:
    for start in range(0, len(names), _ERASED_AT_ONCE):
        yield names[start : start + _ERASED_AT_ONCE]
