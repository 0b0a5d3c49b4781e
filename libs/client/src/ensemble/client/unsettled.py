"""Input that the server has not yet said is safe."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ensemble.v1 import session_events_pb2

ClientEvent = session_events_pb2.ClientEvent

_LIMIT: Final = 4096
"""Events kept at most: 80 s of audio in runs of 20 ms, more than a server leaves open (30 s)."""


@dataclass(slots=True, frozen=True)
class _Kept:
    event: ClientEvent
    samples: int
    texts: int
    call_id: str


class Unsettled:
    """Keeps input until it is accepted, so that it can be sent again after a loss.

    ``samples`` and ``texts`` count what was sent since the session began.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.texts = 0
        self._kept: deque[_Kept] = deque()
        self._room = asyncio.Event()

    def __iter__(self) -> Iterator[ClientEvent]:
        """Yield what is to be sent again, in order."""
        for kept in list(self._kept):
            again = ClientEvent()
            again.CopyFrom(kept.event)
            yield again

    async def room(self) -> None:
        """Wait while too much is kept."""
        while len(self._kept) >= _LIMIT:
            self._room.clear()
            await self._room.wait()

    def keep(self, event: ClientEvent) -> None:
        """Keep a copy of ``event``, whose samples and texts were counted."""
        kept = ClientEvent()
        kept.CopyFrom(event)
        kind = event.WhichOneof("event")
        call_id = event.tool_result.call_id if kind == "tool_result" else ""
        self._kept.append(_Kept(kept, self.samples, self.texts, call_id))

    def accept(self, accepted: session_events_pb2.InputAccepted) -> None:
        """Forget what is safe now."""
        self._forget(
            lambda kept: (
                not kept.call_id
                and kept.samples <= accepted.samples
                and kept.texts <= accepted.text_items
            )
        )

    def settle_tool(self, call_id: str) -> None:
        """Forget the result of a tool whose end is in the record."""
        self._forget(lambda kept: kept.call_id == call_id)

    def settle_tools(self) -> None:
        """Forget the results of all tools: the answer that asked for them is over."""
        self._forget(lambda kept: bool(kept.call_id))

    def _forget(self, safe: Callable[[_Kept], bool]) -> None:
        self._kept = deque(kept for kept in self._kept if not safe(kept))
        self._room.set()
