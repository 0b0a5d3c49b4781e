"""A server span around each call, child of the caller's."""

from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace

from ensemble.runtime.interceptors.chain import Call, Layer
from ensemble.transport import context
from ensemble.transport.tracing import (
    TRACEPARENT,
    end_span,
    extract,
    span_identity,
    trace_context,
)

_SPAN: Final = object()


class TraceContext(Layer):
    """Takes over the caller's trace, so that it goes on past a process that writes no spans."""

    def enter(self, call: Call) -> None:
        """Keep the caller's trace for the calls that are made meanwhile."""
        if TRACEPARENT in call.metadata:
            context.trace.set(trace_context(call.metadata))


class Tracing(Layer):
    """Starts the span when the call begins and ends it when the call does.

    The span is made current for the task of the call and never detached: the task's context
    ends with it, so no generator can be left in a context that is not its own.
    """

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("ensemble.runtime")

    def enter(self, call: Call) -> None:
        """Start the span."""
        name, attributes = span_identity(call.method)
        span = self._tracer.start_span(
            name,
            context=extract(call.metadata.items()),
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
        )
        call.values[_SPAN] = span
        otel_context.attach(trace.set_span_in_context(span))

    def leave(self, call: Call) -> None:
        """End the span with the call's status."""
        end_span(call.values[_SPAN], call.code)
