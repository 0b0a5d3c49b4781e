"""A session in memory, and who is attached to it."""

import asyncio

from ensemble.core.errors import EnsembleError
from ensemble.orchestrator.inputs import Inputs
from ensemble.orchestrator.outbox import Outbox
from ensemble.orchestrator.session import Session
from ensemble.v1 import common_pb2, session_events_pb2


class Live:
    """A session in memory, and who is attached to it."""

    __slots__ = ("_away", "inputs", "session")

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

    async def retire(self, error: EnsembleError) -> None:
        """End it in this process; whoever is attached hears why."""
        outbox = self.session.outbox
        if outbox is not None:
            outbox.end(error)
            self.session.detach(outbox)
        await self.inputs.close()
        await self.close()

    async def close(self) -> None:
        """End it in this process; its record stays."""
        if self._away is not None:
            self._away.cancel()
        await self.session.close()
