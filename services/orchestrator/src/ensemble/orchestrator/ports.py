"""What a conversation needs of others.

Each stream is a context manager: leaving it before its end cancels it in band, lets it
settle its account for at most a second and then aborts it, without making anybody wait.
Iterating raises an ``EnsembleError`` when the peer fails or falls silent. Heartbeats are
sent and swallowed below.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ensemble.v1 import (
    model_router_service_pb2,
    stt_service_pb2,
    tool_pb2,
    tool_server_service_pb2,
    tts_service_pb2,
    world_model_service_pb2,
)


class LanguageModel(Protocol):
    """Answers a conversation."""

    def chat(
        self,
        start: model_router_service_pb2.ChatStart,
        *,
        patient: bool = False,
        late: Callable[[model_router_service_pb2.ChatResponse], None] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[model_router_service_pb2.ChatResponse]]:
        """Ask a model.

        Args:
            start: What to ask.
            patient: Wait a while for a router that is restarting.
            late: Told what comes after the chat was left, such as what it used.
        """


class Tools(Protocol):
    """Lists tools and runs them."""

    async def list_tools(self) -> list[tool_pb2.ToolSpec]:
        """Return all tools."""

    def call_tool(
        self, start: tool_server_service_pb2.CallToolStart, *, patient: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tool_server_service_pb2.CallToolResponse]]:
        """Run one tool. ``patient`` waits a while for a server that is restarting."""


class Synthesis(Protocol):
    """One text being spoken; iterating it yields what the synthesiser says."""

    def __aiter__(self) -> AsyncIterator[tts_service_pb2.SynthesizeResponse]:
        """Return itself."""

    async def say(self, text: str) -> None:
        """Add text."""

    async def finish(self) -> None:
        """Say that no more text comes."""

    async def allow(self, frames: int) -> None:
        """Let it send so many frames more."""


class Synthesizer(Protocol):
    """Turns text into speech."""

    def synthesize(
        self, start: tts_service_pb2.SynthesizeStart
    ) -> AbstractAsyncContextManager[Synthesis]:
        """Begin to speak."""


class Recognition(Protocol):
    """One stream of audio being listened to; iterating it yields what is heard."""

    def __aiter__(self) -> AsyncIterator[stt_service_pb2.RecognizeResponse]:
        """Return itself."""

    async def feed(self, data: bytes) -> None:
        """Add audio; waits while the recogniser is behind."""

    async def end(self) -> None:
        """End the utterance now."""

    async def clear(self) -> None:
        """Drop the utterance under way."""

    async def finish(self) -> None:
        """Say that no more audio comes; what was heard is recognised, then it ends."""


class Recognizer(Protocol):
    """Turns speech into text."""

    def recognize(
        self, start: stt_service_pb2.RecognizeStart
    ) -> AbstractAsyncContextManager[Recognition]:
        """Begin to listen."""


class World(Protocol):
    """Tells what changed in the world."""

    def watch(
        self, kind: str, after: int
    ) -> AbstractAsyncContextManager[AsyncIterator[world_model_service_pb2.WatchResponse]]:
        """Follow the changes of ``kind`` after sequence ``after``."""
