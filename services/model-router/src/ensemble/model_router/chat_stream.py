"""One Chat call: reads the caller's events, sends the router's, within the credit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ensemble.core.credit import CreditWindow
from ensemble.core.errors import EngineFailedError, PeerLostError, UnexpectedMessageError
from ensemble.core.ids import new_id
from ensemble.model_router.convert import call_from, response_from
from ensemble.model_router.domain import Settled, Started, TextDelta
from ensemble.model_router.outbox import Outbox
from ensemble.model_router.router import Router
from ensemble.model_router.tracing import ChatSpan
from ensemble.v1 import model_router_service_pb2 as pb

_CREDIT_WAIT = 60.0
"""Seconds after which a caller that gives no credit counts as gone."""


class ChatStream:
    """One call, from its start message to its done.

    Args:
        router: Answers it.
        first: The request that holds the start.
        requests: The requests after it.
    """

    def __init__(
        self, router: Router, first: pb.ChatRequest, requests: AsyncIterator[pb.ChatRequest]
    ) -> None:
        self._router = router
        self._requests = requests
        self._start_event = first.event_id
        self._cancel_event = ""
        self._call = call_from(first.start)
        self._credit = CreditWindow(first.start.initial_credit)
        self._outbox = Outbox()
        self._sequence = 0
        self._said: list[str] = []
        self._span = ChatSpan()

    async def responses(self) -> AsyncIterator[pb.ChatResponse]:
        """Yield what the caller gets.

        Raises:
            EnsembleError: No model could answer, or the caller broke the contract.
        """
        reader = asyncio.ensure_future(self._read())
        pump = asyncio.ensure_future(self._pump())
        try:
            while True:
                if await self._outbox.next_needs_credit():
                    await self._pay()
                    if self._call.cancelled.is_set():
                        self._outbox.take()
                        continue
                event = self._outbox.take()
                if isinstance(event, TextDelta):
                    self._said.append(event.text)
                elif isinstance(event, Started):
                    self._span.started(event)
                elif isinstance(event, Settled):
                    self._span.settled(event)
                    if self._said:
                        done = pb.ChatTextDone(text="".join(self._said))
                        yield self._stamped(pb.ChatResponse(text_done=done))
                    yield self._stamped(response_from(event))
                    return
                yield self._stamped(response_from(event))
        finally:
            self._span.end()
            for task in (reader, pump):
                task.cancel()
            for task in (reader, pump):
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _pay(self) -> None:
        """Wait for credit, unless the caller has cancelled and gets no more deltas."""
        if self._call.cancelled.is_set():
            return
        try:
            async with asyncio.timeout(_CREDIT_WAIT):
                await self._credit.take()
        except TimeoutError:
            raise PeerLostError("The caller gave no credit for a minute.") from None

    async def _pump(self) -> None:
        """Bring the router's events to the outbox."""
        try:
            async with contextlib.aclosing(self._router.chat(self._call)) as events:
                async for event in events:
                    await self._outbox.put(event)
        except asyncio.CancelledError:
            self._outbox.fail(EngineFailedError())
            raise
        except Exception as error:
            self._outbox.fail(error)

    async def _read(self) -> None:
        """Follow what the caller says after the start."""
        try:
            async for request in self._requests:
                match request.WhichOneof("event"):
                    case "start":
                        raise UnexpectedMessageError("A chat is started once.")
                    case "credit":
                        self._credit.grant(request.credit.events)
                    case "cancel":
                        self._cancel_event = request.event_id
                        self._call.cancelled.set()
                        self._credit.grant(1)  # wakes a sender that waits for credit
        except Exception as error:
            self._outbox.fail(error)

    def _stamped(self, response: pb.ChatResponse) -> pb.ChatResponse:
        self._sequence += 1
        response.event_id = new_id("evt")
        response.sequence = self._sequence
        response.created_at.GetCurrentTime()
        response.caused_by_event_id = self._cancel_event or self._start_event
        return response
