"""Turns the text that a model writes into the events of a chat."""

from collections.abc import Iterator

from ensemble.model_router.domain import (
    Call,
    Finished,
    ModelEvent,
    StopReason,
    TextDelta,
    TokenUsage,
    ToolCall,
    ToolCallDelta,
)
from ensemble.model_router.markers import MarkerParser


class Answer:
    """One answer under way, shared by all adapters.

    A speculative call learns that the model wants a tool by ``StopReason.TOOL_CALLS``, but
    not which: such a call must not have an effect.
    """

    def __init__(self, call: Call) -> None:
        self._speculative = call.speculative
        self._parser = MarkerParser(continuing=bool(call.committed_text))
        self.wants_tool = False
        self.refused = False

    def text(self, text: str, tokens: int) -> Iterator[ModelEvent]:
        """Take more raw text."""
        yield from self._events(self._parser.feed(text), tokens)

    def tool_call(self, part: ToolCallDelta | ToolCall) -> Iterator[ModelEvent]:
        """Take a tool call that a provider names as such."""
        self.wants_tool = True
        if not self._speculative:
            yield part

    def finish(self, stop: StopReason, usage: TokenUsage) -> Iterator[ModelEvent]:
        """Take the end; yields what was held back and the ``Finished``."""
        if stop is not StopReason.CANCELLED:
            cut_short = stop is StopReason.MAX_OUTPUT_TOKENS
            yield from self._events(self._parser.finish(cut_short=cut_short), 0)
        if stop is StopReason.COMPLETED and self.wants_tool:
            stop = StopReason.TOOL_CALLS
        yield Finished(stop, usage, declined=self._parser.declined or self.refused)

    def _events(
        self, parts: Iterator[str | ToolCallDelta | ToolCall], tokens: int
    ) -> Iterator[ModelEvent]:
        for part in parts:
            if isinstance(part, str):
                yield TextDelta(part, tokens)
                tokens = 0
            else:
                yield from self.tool_call(part)

    @property
    def may_stop(self) -> bool:
        """Nothing more can come of it: a speculative call that wants a tool."""
        return self._speculative and self.wants_tool
