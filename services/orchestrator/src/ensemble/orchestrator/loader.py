"""Brings sessions from the log into memory, and goes on with what is open in them."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from ensemble.core.errors import EnsembleError, SessionNotFoundError
from ensemble.eventlog import EventLog
from ensemble.orchestrator.conversation import Conversation
from ensemble.orchestrator.inputs import accepted_key
from ensemble.orchestrator.live import Live
from ensemble.orchestrator.loading import begun, load
from ensemble.orchestrator.membership import Membership
from ensemble.orchestrator.record import OPEN
from ensemble.orchestrator.response import Peers
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.stored import session_key
from ensemble.orchestrator.taking_up import take_up
from ensemble.v1 import orchestrator_service_pb2, session_events_pb2

_LOG = structlog.get_logger()

Found = dict[str, Live | EnsembleError]
"""What was brought into memory, or why it was not, by session."""


class Loader:
    """Makes sessions that live from sessions that are recorded.

    Args:
        log: Their records.
        membership: In whose name they are held.
        peers: What they work with.
        settings: How they work.
        on_broken: Told of a session whose record cannot be gone on with from here, and why.
    """

    def __init__(
        self,
        log: EventLog,
        membership: Membership,
        peers: Peers,
        settings: OrchestratorSettings,
        on_broken: Callable[[Session, EnsembleError], None],
    ) -> None:
        self._log = log
        self._membership = membership
        self._peers = peers
        self._settings = settings
        self._on_broken = on_broken

    async def load(self, session_id: str) -> Found:
        """Become the holder of a session, and bring it into memory.

        Raises:
            SessionNotFoundError: There is none of this id.
            SessionMovedError: Another orchestrator has it.
        """
        key = session_key(session_id)
        head = await self._log.head(key)
        if head is None:
            raise SessionNotFoundError(metadata={"sessionId": session_id})
        if head.fence != self._membership.fence:
            await self._membership.hold([key])
        return await self.load_held([session_id])

    async def load_held(self, session_ids: Sequence[str]) -> Found:
        """Bring sessions that this orchestrator holds into memory."""
        try:
            return await self._load(session_ids)
        except EnsembleError as exc:
            error = exc
        except Exception:
            _LOG.exception("load_failed", sessions=len(session_ids))
            error = EnsembleError()
        if len(session_ids) == 1:
            return {session_ids[0]: error}
        # It was because of one of them, perhaps.
        found: Found = {}
        for each in session_ids:
            found |= await self.load_held([each])
        return found

    def made(
        self,
        session_id: str,
        owner: str,
        created_at: int,
        request: orchestrator_service_pb2.OpenSessionRequest,
    ) -> Live:
        """Return a session that was just made from ``request``, as it would be loaded."""
        limit = self._settings.history_messages
        return self._live(begun(session_id, 1, created_at, request, limit), owner)

    async def _load(self, session_ids: Sequence[str]) -> Found:
        loaded = await load(self._log, session_ids, self._settings.history_messages)
        await self._load_accepted([each.conversation for each in loaded if each])
        found: Found = {}
        begins: list[Live] = []
        for session_id, each in zip(session_ids, loaded, strict=True):
            if each is None:
                found[session_id] = SessionNotFoundError(metadata={"sessionId": session_id})
                continue
            found[session_id] = live = self._live(each.conversation, each.head.owner)
            if each.head.mark != OPEN:
                continue
            if each.conversation.open_answer and not each.conversation.may_go_on:
                found[session_id] = await _ended(live)
            else:
                begins.append(live)
        # Nothing is waited for from here on: what goes wrong in a session that has begun is told
        # to whoever has it in memory.
        for live in begins:
            session_id = live.session.session_id
            try:
                take_up(live.session)
                live.await_client()
            except Exception:
                # The others have begun and must not begin again.
                _LOG.exception("take_up_failed", session_id=session_id)
                found[session_id] = EnsembleError()
        return found

    def _live(self, conversation: Conversation, owner: str) -> Live:
        return Live(
            Session(
                conversation,
                owner,
                self._log,
                self._peers,
                self._settings,
                fence=self._membership.fence,
                on_broken=self._on_broken,
            )
        )

    async def _load_accepted(self, conversations: Sequence[Conversation]) -> None:
        """Have each that listens know which silence is safe."""
        heard = {
            accepted_key(each.session.session_id): each.accepted
            for each in conversations
            if each.config.HasField("input_audio")
        }
        if not heard:
            return
        # Claims that are made together share a commit.
        holding = (self._membership.hold([key]) for key in heard)
        for refused in await asyncio.gather(*holding, return_exceptions=True):
            if refused is not None:
                raise refused
        glances = await self._log.glance(list(heard), limit=1)
        heads = [glance.head for glance in glances if glance is not None]
        lasts = (self._log.read(head.stream, head.last_seq - 1) for head in heads)
        for head, (last, *_) in zip(heads, await asyncio.gather(*lasts), strict=True):
            noted = session_events_pb2.InputAccepted.FromString(last.payload)
            accepted = heard[head.stream]
            accepted.samples = max(accepted.samples, noted.samples)


async def _ended(live: Live) -> Live | EnsembleError:
    """End the answer that may not go on; returns once that is in the record."""
    live.await_client()
    take_up(live.session)
    try:
        await live.session.recorder.flush()
    except EnsembleError as exc:
        await live.close()
        return exc
    return live
