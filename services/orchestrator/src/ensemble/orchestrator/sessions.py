"""All sessions of this process: made, found, folded from the log, forgotten."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Container, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ensemble.core.errors import (
    ConflictError,
    EnsembleError,
    EventTooNewError,
    InvalidArgumentError,
    SessionMovedError,
    SessionNotFoundError,
    StorageCorruptError,
    UnexpectedMessageError,
)
from ensemble.core.ids import new_id
from ensemble.eventlog import EventLog, Head
from ensemble.orchestrator.inputs import accepted_key
from ensemble.orchestrator.live import Live
from ensemble.orchestrator.loader import Found, Loader
from ensemble.orchestrator.loading import load
from ensemble.orchestrator.membership import Membership
from ensemble.orchestrator.opening import checked, creation, request_key
from ensemble.orchestrator.response import Peers
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.stored import session_key
from ensemble.orchestrator.takeover import Takeover
from ensemble.v1 import orchestrator_service_pb2, session_pb2

_LOG = structlog.get_logger()

_DEFAULT_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a session is."""

    tenant: str = ""
    principal: str = ""

    def __str__(self) -> str:
        """Return it as the log keeps it."""
        return f"{self.tenant}/{self.principal}"


class Sessions:
    """Finds sessions by id, in memory or in the log.

    Args:
        log: Their records.
        membership: In whose name they are held.
        peers: What they work with.
        settings: How they work.
    """

    def __init__(
        self,
        log: EventLog,
        membership: Membership,
        peers: Peers,
        settings: OrchestratorSettings,
    ) -> None:
        self._log = log
        self._membership = membership
        self._settings = settings
        self._live: OrderedDict[str, Live] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Found]] = {}
        self._barred: set[str] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._loader = Loader(log, membership, peers, settings, self._on_broken)
        self._takeover = Takeover(membership, self._loaded, self._take_up)

    @property
    def live(self) -> Collection[Live]:
        """The sessions in memory."""
        return self._live.values()

    def attached(self, principal: str) -> list[Session]:
        """Return the sessions of ``principal`` to which a client is attached."""
        return [
            live.session
            for live in self._live.values()
            if live.session.outbox is not None and live.session.owner.partition("/")[2] == principal
        ]

    def find_live(self, session_id: str) -> Session | None:
        """Return the session if it is in memory."""
        live = self._live.get(session_id)
        return live.session if live else None

    async def open(
        self,
        owner: Owner,
        config: session_pb2.SessionConfig,
        history: Sequence[session_pb2.HistoryItem] = (),
        request_id: str = "",
    ) -> tuple[Live, bool]:
        """Make a session, or return the one that ``request_id`` made before.

        Returns:
            The session, and whether it is new.

        Raises:
            UnsupportedAudioFormatError: It asks for audio that cannot be read or made.
            ServiceUnavailableError: This process was taken for dead and is not back yet.
        """
        session_id = new_id("ses")
        made = orchestrator_service_pb2.OpenSessionRequest(
            config=checked(config, self._settings.output_sample_rate),
            history=history,
            request_id=request_id,
        )
        batch = creation(session_key(session_id), str(owner), made)
        await self._membership.joined()
        fence, now = self._membership.fence, time.time_ns()
        try:
            await self._log.append(batch, fence=fence, at=now)
        except ConflictError:
            (first,) = await self._log.read(request_key(str(owner), request_id), limit=1)
            return await self.get(owner, first.payload.decode()), False
        known = session_id in self._live or session_id in self._loading
        if fence != self._membership.fence or known:
            # This process was taken for dead meanwhile, and is another instance now; or somebody
            # has found the session already.
            return await self.get(owner, session_id), True
        live = self._loader.made(session_id, str(owner), now, made)
        self._live[session_id] = live
        await self._make_room([session_id])
        return live, True

    async def get(self, owner: Owner, session_id: str) -> Live:
        """Return a session.

        Raises:
            SessionNotFoundError: There is none of this id, or it is somebody else's.
            SessionMovedError: Another orchestrator has it.
        """
        live = self._live.get(session_id)
        if live is None and session_id not in self._barred:
            live = await self._loaded(session_id)
        if live is None or session_id in self._barred or live.session.owner != str(owner):
            raise SessionNotFoundError(metadata={"sessionId": session_id})
        if session_id in self._live:
            self._live.move_to_end(session_id)
        return live

    def check_quiet(self, session_ids: Iterable[str]) -> None:
        """Raise UnexpectedMessageError when an answer is under way in one of these."""
        for session_id in session_ids:
            live = self._live.get(session_id)
            if live is not None and not live.session.is_quiet:
                raise UnexpectedMessageError(
                    f"Nothing was erased: an answer is under way in session {session_id}; stop "
                    "it or wait for its end.",
                    metadata={"sessionId": session_id},
                )

    @asynccontextmanager
    async def barred(self, session_id: str) -> AsyncIterator[None]:
        """Take a session out of memory, and let nobody have it while inside.

        Raises:
            UnexpectedMessageError: An answer is under way in it.
            SessionMovedError: Another orchestrator has it.
        """
        self._barred.add(session_id)
        try:
            if (loading := self._loading.get(session_id)) is not None:
                await asyncio.wait({loading})
            self.check_quiet([session_id])
            if (live := self._live.pop(session_id, None)) is not None:
                await live.retire(SessionNotFoundError(metadata={"sessionId": session_id}))
            await self._membership.hold([session_key(session_id), accepted_key(session_id)])
            yield
        finally:
            self._barred.discard(session_id)

    async def look(self, owner: Owner, session_id: str) -> session_pb2.Session:
        """Return a session as it stands, whoever holds it.

        Raises:
            SessionNotFoundError: There is none of this id, or it is somebody else's.
        """
        head = await self._log.head(session_key(session_id))
        if head is None or session_id in self._barred or head.owner != str(owner):
            raise SessionNotFoundError(metadata={"sessionId": session_id})
        return await self.describe(head)

    async def describe(self, head: Head) -> session_pb2.Session:
        """Return a session as it stands, without keeping it in memory."""
        live = self._live.get(head.stream.name)
        if live is not None:
            return live.session.conversation.session
        limit = self._settings.history_messages
        (loaded,) = await load(self._log, [head.stream.name], limit)
        assert loaded is not None
        return loaded.conversation.session

    async def find(
        self, owner: Owner, page_size: int, page_token: str
    ) -> tuple[list[session_pb2.Session], str]:
        """Return a page of sessions, the one that changed last first, and the next page's token.

        Raises:
            InvalidArgumentError: The token is not one of ours.
        """
        if page_token and not page_token.isdecimal():
            raise InvalidArgumentError(violations={"page_token": "is not from an earlier page"})
        size = page_size or _DEFAULT_PAGE
        before = int(page_token) if page_token else None
        heads = await self._log.heads("session", owner=str(owner), before=before, limit=size + 1)
        sessions = [await self._listed(head) for head in heads[:size]]
        more = len(heads) > size
        return sessions, str(heads[size - 1].position) if more else ""

    async def _listed(self, head: Head) -> session_pb2.Session:
        try:
            return await self.describe(head)
        except (StorageCorruptError, EventTooNewError) as exc:
            # One that cannot be read does not hide the others.
            session_id = head.stream.name
            _LOG.warning("session_unreadable", session_id=session_id, reason=exc.reason)
            found = session_pb2.Session(
                session_id=session_id, last_sequence=head.last_seq, unreadable=True
            )
            found.create_time.FromNanoseconds(head.created_at)
            found.update_time.FromNanoseconds(head.updated_at)
            return found

    def start(self) -> None:
        """Begin to take up what was under way in a process that died, this one's forerunner
        or another one, and go on with it for as long as this one lives."""
        self._takeover.start()

    async def give_up_all(self) -> None:
        """End all sessions in this process, which others have taken for dead; who is attached
        to one hears who has it now."""
        given_up = list(self._live.values())
        self._live.clear()
        self._takeover.forget_all()
        await asyncio.gather(*(self._retire(live, SessionMovedError()) for live in given_up))

    async def hand_over(self, live: Live) -> None:
        """Let others have a session as soon as nothing is under way in it."""
        await live.session.quiet()
        session_id = live.session.session_id
        if self._live.get(session_id) is not live:
            return
        del self._live[session_id]
        await live.close()
        try:
            await self._membership.release([session_key(session_id), accepted_key(session_id)])
        except EnsembleError as exc:
            _LOG.warning("release_failed", session_id=session_id, reason=exc.reason)

    async def close(self) -> None:
        """End all sessions in this process."""
        await self._takeover.close()
        ending = {*self._retiring, *self._loading.values()}
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        await asyncio.gather(*(live.close() for live in self._live.values()))
        self._live.clear()

    async def _loaded(self, session_id: str) -> Live:
        if (live := self._live.get(session_id)) is not None:
            return live
        loading = self._loading.get(session_id)
        if loading is None:
            loading = self._bring([session_id], self._loader.load(session_id))
        found = (await asyncio.shield(loading))[session_id]
        if isinstance(found, EnsembleError):
            raise found
        return found

    async def _take_up(self, session_ids: Sequence[str]) -> dict[str, EnsembleError]:
        """Bring sessions that are held into memory; returns why, for those that could not be."""
        coming = [each for each in session_ids if each in self._loading]
        absent = [each for each in session_ids if each not in self._live and each not in coming]
        found: Found = {}
        if absent:
            # Begun before anything is waited for: a session is brought into memory once.
            found = await asyncio.shield(self._bring(absent, self._loader.load_held(absent)))
        for each in coming:
            try:
                found[each] = await self._loaded(each)
            except EnsembleError as exc:
                found[each] = exc
        return {each: why for each, why in found.items() if isinstance(why, EnsembleError)}

    def _bring(
        self, session_ids: Sequence[str], work: Coroutine[Any, Any, Found]
    ) -> asyncio.Task[Found]:
        bringing = asyncio.create_task(self._keep(work), name="load")
        self._loading.update(dict.fromkeys(session_ids, bringing))

        def brought(_: object) -> None:
            for each in session_ids:
                del self._loading[each]

        bringing.add_done_callback(brought)
        return bringing

    async def _keep(self, work: Coroutine[Any, Any, Found]) -> Found:
        found = await work
        self._live.update((key, live) for key, live in found.items() if isinstance(live, Live))
        await self._make_room(found)
        return found

    def _on_broken(self, session: Session, error: EnsembleError) -> None:
        """Forget what is in memory: what the log says of the session counts."""
        live = self._live.get(session.session_id)
        if live is None or live.session is not session:
            return
        del self._live[session.session_id]
        self._takeover.add(session.session_id)
        retiring = asyncio.create_task(self._retire(live, error), name="retire")
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _retire(self, live: Live, error: EnsembleError) -> None:
        """End a session in this process; where it has moved, say to whom if that is known."""
        if isinstance(error, SessionMovedError) and live.session.outbox is not None:
            key = session_key(live.session.session_id)
            holder = None
            with contextlib.suppress(EnsembleError):
                holder = await self._membership.holds_elsewhere(key)
            if holder is not None:
                error = SessionMovedError(metadata={"owner": holder.address})
        await live.retire(error)

    async def _make_room(self, wanted: Container[str]) -> None:
        spare = len(self._live) - self._settings.sessions_in_memory
        if spare <= 0:
            return
        idle = [key for key, live in self._live.items() if live.is_idle and key not in wanted]
        for key in idle[:spare]:
            await self._live.pop(key).close()
