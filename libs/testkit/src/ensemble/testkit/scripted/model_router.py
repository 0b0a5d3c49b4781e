"""A model router whose answers a test writes."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ensemble.core.errors import EnsembleError
from ensemble.testkit.scripted.streaming import Inbox, heartbeat
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import common_pb2, model_router_service_pb2, model_router_service_pb2_grpc

Event = model_router_service_pb2.ChatResponse


@dataclass
class Reply:
    """One answer of the model.

    Attributes:
        text: What it says, in tokens.
        calls: Tools it asks for, as (name, arguments JSON).
        first_s, token_s: Seconds before the first token and between two.
        fail_after: Raise ``error`` after so many tokens; None never.
        hang_after: Fall silent (but for heartbeats) after so many tokens; None never.
        usage: Tokens read and written; None counts what was written.
    """

    text: Sequence[str] = ()
    calls: Sequence[tuple[str, str]] = ()
    first_s: float = 0.0
    token_s: float = 0.0
    fail_after: int | None = None
    error: EnsembleError = field(default_factory=EnsembleError)
    hang_after: int | None = None
    outcome: common_pb2.Outcome = common_pb2.OUTCOME_ANSWERED
    stop_reason: common_pb2.StopReason = common_pb2.STOP_REASON_UNSPECIFIED
    substituted_by: str = ""


def words(text: str) -> list[str]:
    """Return ``text`` cut into tokens that give it back when joined."""
    parts = text.split(" ")
    return [part if n == 0 else f" {part}" for n, part in enumerate(parts)]


class ScriptedModelRouter(model_router_service_pb2_grpc.ModelRouterServiceServicer):
    """Gives the replies of its script in order, then the default one for ever.

    Attributes:
        starts: What it was asked.
        cancelled: Chats that were cancelled in band.
        finished: Chats that ended, however.
    """

    def __init__(self, *replies: Reply, default: Reply | None = None) -> None:
        self.replies: deque[Reply] = deque(replies)
        self.default = default or Reply(words("I am fine."))
        self.starts: list[model_router_service_pb2.ChatStart] = []
        self.cancelled = 0
        self.finished = 0
        self.started = asyncio.Event()
        self._ids = itertools.count(1)

    def say(self, text: str, **rest: Any) -> None:
        """Add a reply that says ``text``."""
        self.replies.append(Reply(words(text), **rest))

    def call(self, name: str, arguments_json: str = "{}") -> None:
        """Add a reply that asks for one tool."""
        self.replies.append(Reply(calls=[(name, arguments_json)]))

    async def Chat(self, request_iterator: Any, context: Any) -> AsyncIterator[Event]:
        inbox: Inbox[model_router_service_pb2.ChatRequest] = Inbox(request_iterator)
        start = await inbox.start()
        self.starts.append(start)
        self.started.set()
        reply = self.replies.popleft() if self.replies else self.default
        try:
            events = with_heartbeats(self._answer(reply, inbox), heartbeat(Event))
            async with aclosing(events) as stream:
                async for event in stream:
                    yield event
        finally:
            self.finished += 1
            self.cancelled += inbox.cancelled.is_set()
            await inbox.close()

    async def _answer(
        self, reply: Reply, inbox: Inbox[model_router_service_pb2.ChatRequest]
    ) -> AsyncIterator[Event]:
        yield Event(started={"model": "scripted", "engine": "script"})
        done = model_router_service_pb2.ChatDone(outcome=reply.outcome)
        said = 0
        for number, token in enumerate(reply.text):
            if await inbox.pause(reply.token_s if number else reply.first_s):
                break
            if reply.fail_after == number:
                raise reply.error
            if reply.hang_after == number:
                await inbox.cancelled.wait()
                break
            said += 1
            yield Event(text_delta={"text": token, "token_count": 1})
            if reply.substituted_by and number == 0:
                yield Event(
                    substituted={"from_model": "scripted", "to_model": reply.substituted_by}
                )
        if not inbox.cancelled.is_set():
            if reply.fail_after == len(reply.text):
                raise reply.error
            if reply.text:
                yield Event(text_done={"text": "".join(reply.text)})
            for name, arguments in reply.calls:
                call_id = f"call_{next(self._ids)}"
                yield Event(
                    tool_call_done={"call_id": call_id, "name": name, "arguments_json": arguments}
                )
        done.usage.input_tokens, done.usage.output_tokens = 10, said
        done.stop_reason = reply.stop_reason or common_pb2.STOP_REASON_COMPLETED
        if reply.calls:
            done.stop_reason = common_pb2.STOP_REASON_TOOL_CALLS
        if inbox.cancelled.is_set():
            done.stop_reason = common_pb2.STOP_REASON_CANCELLED
        yield Event(done=done)

    async def ListModels(
        self, request: Any, context: Any
    ) -> model_router_service_pb2.ListModelsResponse:
        return model_router_service_pb2.ListModelsResponse(
            models=[{"name": "scripted", "engine": "script", "available": True}]
        )
