"""The span of one chat, with what it used and none of what was said."""

from opentelemetry import trace

from ensemble.model_router.domain import Settled, Started
from ensemble.transport.tracing import tracing_is_on

_tracer = trace.get_tracer("ensemble.model_router")


class ChatSpan:
    """A child of the call's own span; free of cost while nobody traces."""

    def __init__(self) -> None:
        self._span: trace.Span | None = None

    def started(self, started: Started) -> None:
        """Begin, now that a model has taken the call."""
        if tracing_is_on() and self._span is None:
            self._span = _tracer.start_span(
                f"chat {started.model}",
                attributes={
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": started.engine,
                    "gen_ai.request.model": started.model,
                },
            )

    def settled(self, settled: Settled) -> None:
        """Note the usage."""
        if self._span is not None:
            self._span.set_attributes(
                {
                    "gen_ai.response.model": settled.model,
                    "gen_ai.usage.input_tokens": settled.usage.read,
                    "gen_ai.usage.output_tokens": settled.usage.written,
                    "gen_ai.response.finish_reasons": [settled.stop.name.lower()],
                }
            )

    def end(self) -> None:
        """End, however the call ended."""
        if self._span is not None:
            self._span.end()
