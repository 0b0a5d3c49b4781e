"""All sessions of this process: made, found, folded from the log, forgotten."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from ensemble.core.errors import (
    ConflictError,
    InvalidArgumentError,
    SessionNotFoundError,
    UnexpectedMessageError,
    UnsupportedAudioFormatError,
)
from ensemble.core.ids import new_id
from ensemble.eventlog import Append, EventLog, Head, StreamKey
from ensemble.orchestrator.conversation import Conversation
from ensemble.orchestrator.input_audio import check_formats
from ensemble.orchestrator.inputs import Inputs, accepted_key
from ensemble.orchestrator.outbox import Outbox
from ensemble.orchestrator.record import CREATED, OPEN, load, session_key
from ensemble.orchestrator.response import Peers
from ensemble.orchestrator.session import Session
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.orchestrator.taking_up import take_up
from ensemble.v1 import (
    common_pb2,
    orchestrator_service_pb2,
    session_events_pb2,
    session_pb2,
)

_LOG = structlog.get_logger()

_RECOVERED_AT_ONCE: Final = 64
_DEFAULT_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a session is."""

    tenant: str = ""
    principal: str = ""

    def __str__(self) -> str:
        """Return it as the log keeps it."""
        return f"{self.tenant}/{self.principal}"


class Live:
    """A session in memory, and who is attached to it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.inputs = Inputs(session)
        self._away: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Nobody is attached and nothing is under way."""
        return self.session.outbox is None and self._away is None and self.session.is_quiet

    def attach(self, start: session_events_pb2.SessionStart) -> Outbox:
        """See ``Session.attach``."""
        outbox = self.session.attach(start)
        if self._away is not None:
            self._away.cancel()
            self._away = None
        return outbox

    def detach(self, outbox: Outbox) -> None:
        """A client's stream ended; the session waits a while for it to come back."""
        if self.session.detach(outbox):
            self.await_client()

    def await_client(self) -> None:
        """Give up what is under way unless a client attaches in time."""
        wait = self.session.settings.away_s
        self._away = asyncio.get_running_loop().call_later(wait, self._give_up)

    def _give_up(self) -> None:
        self._away = None
        self.session.interrupt(common_pb2.STOP_REASON_INTERRUPTED)
        self.session.spawn(self.inputs.close(), "stop-listening")

    async def retire(self) -> None:
        """End it for good: whoever is attached hears that there is no such session."""
        outbox = self.session.outbox
        if outbox is not None:
            outbox.end(SessionNotFoundError(metadata={"sessionId": self.session.session_id}))
            self.session.detach(outbox)
        await self.inputs.close()
        await self.close()

    async def close(self) -> None:
        """End it in this process; its record stays."""
        if self._away is not None:
            self._away.cancel()
        await self.session.close()


class Sessions:
    """Finds sessions by id, in memory or in the log.

    Args:
        log: Their records.
        peers: What they work with.
        settings: How they work.
    """

    def __init__(self, log: EventLog, peers: Peers, settings: OrchestratorSettings) -> None:
        self._log = log
        self._peers = peers
        self._settings = settings
        self._live: OrderedDict[str, Live] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Live]] = {}
        self._barred: set[str] = set()

    @property
    def live(self) -> Iterable[Live]:
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
        """
        session_id = new_id("ses")
        made = orchestrator_service_pb2.OpenSessionRequest(
            config=self._checked(config), history=history, request_id=request_id
        )
        batch = [
            Append(
                session_key(session_id),
                CREATED,
                made.SerializeToString(),
                expected_seq=0,
                owner=str(owner),
            )
        ]
        request = _request_key(owner, request_id)
        if request_id:
            batch.append(Append(request, "made", session_id.encode(), expected_seq=0))
        try:
            await self._log.append(batch)
        except ConflictError:
            (first,) = await self._log.read(request, limit=1)
            return await self.get(owner, first.payload.decode()), False
        return await self.get(owner, session_id), True

    async def get(self, owner: Owner, session_id: str) -> Live:
        """Return a session.

        Raises:
            SessionNotFoundError: There is none of this id, or it is somebody else's.
        """
        live = self._live.get(session_id)
        if live is None and session_id not in self._barred:
            loading = self._loading.get(session_id)
            if loading is None:
                loading = asyncio.create_task(self._load(session_id))
                self._loading[session_id] = loading
                loading.add_done_callback(lambda _: self._loading.pop(session_id, None))
            live = await asyncio.shield(loading)
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
                    "An answer is under way in this session; stop it or wait for its end.",
                    metadata={"sessionId": session_id},
                )

    @asynccontextmanager
    async def barred(self, session_id: str) -> AsyncIterator[None]:
        """Take a session out of memory, and let nobody have it while inside.

        Raises:
            UnexpectedMessageError: An answer is under way in it.
        """
        self._barred.add(session_id)
        try:
            if (loading := self._loading.get(session_id)) is not None:
                await asyncio.wait({loading})
            self.check_quiet([session_id])
            if (live := self._live.pop(session_id, None)) is not None:
                await live.retire()
            yield
        finally:
            self._barred.discard(session_id)

    async def describe(self, head: Head) -> session_pb2.Session:
        """Return a session as it stands, without keeping it in memory."""
        live = self._live.get(head.stream.name)
        if live is not None:
            return live.session.conversation.session
        conversation = await load(self._log, head.stream.name)
        assert conversation is not None
        return conversation.session

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
        sessions = [await self.describe(head) for head in heads[:size]]
        more = len(heads) > size
        return sessions, str(heads[size - 1].position) if more else ""

    async def recover(self) -> int:
        """Go on with what was under way when the process before this one ended.

        Returns:
            How many sessions had an answer under way, or a turn that waited for one.
        """
        recovered, before = 0, None
        while heads := await self._log.heads(
            "session", mark=OPEN, before=before, limit=_RECOVERED_AT_ONCE
        ):
            await asyncio.gather(*(self._take_up(head) for head in heads))
            recovered += len(heads)
            before = heads[-1].position
        if recovered:
            _LOG.info("answers_taken_up", count=recovered)
        return recovered

    async def close(self) -> None:
        """End all sessions in this process."""
        for loading in list(self._loading.values()):
            loading.cancel()
        await asyncio.gather(*(live.close() for live in self._live.values()))
        self._live.clear()

    async def _take_up(self, head: Head) -> None:
        live = await self._load(head.stream.name)
        live.await_client()
        await take_up(live.session)

    async def _load(self, session_id: str) -> Live:
        head = await self._log.head(session_key(session_id))
        conversation = await load(self._log, session_id) if head else None
        if head is None or conversation is None:
            raise SessionNotFoundError(metadata={"sessionId": session_id})
        await self._load_accepted(conversation)
        session = Session(conversation, head.owner, self._log, self._peers, self._settings)
        live = self._live[session_id] = Live(session)
        await self._make_room(session_id)
        return live

    async def _load_accepted(self, conversation: Conversation) -> None:
        key = accepted_key(conversation.session.session_id)
        head = await self._log.head(key)
        if head is not None:
            (last,) = await self._log.read(key, head.last_seq - 1)
            noted = session_events_pb2.InputAccepted.FromString(last.payload)
            accepted = conversation.accepted
            accepted.samples = max(accepted.samples, noted.samples)

    async def _make_room(self, wanted: str) -> None:
        spare = len(self._live) - self._settings.sessions_in_memory
        if spare <= 0:
            return
        idle = [key for key, live in self._live.items() if live.is_idle and key != wanted]
        for key in idle[:spare]:
            await self._live.pop(key).close()

    def _checked(self, config: session_pb2.SessionConfig) -> session_pb2.SessionConfig:
        checked = session_pb2.SessionConfig()
        checked.CopyFrom(config)
        if checked.HasField("input_audio"):
            check_formats(checked.input_audio)
        if checked.HasField("output_audio"):
            audio = checked.output_audio
            if audio.encoding == common_pb2.AUDIO_ENCODING_WAV or audio.channel_count > 1:
                raise UnsupportedAudioFormatError("Speech comes as mono PCM_S16LE.")
            audio.encoding = common_pb2.AUDIO_ENCODING_PCM_S16LE
            audio.channel_count = 1
            audio.sample_rate_hertz = audio.sample_rate_hertz or self._settings.output_sample_rate
        return checked


def _request_key(owner: Owner, request_id: str) -> StreamKey:
    digest = hashlib.sha256(f"{owner}\0{request_id}".encode()).hexdigest()
    return StreamKey("request", digest)
