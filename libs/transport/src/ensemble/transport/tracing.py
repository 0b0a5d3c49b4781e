"""Traces across calls: client spans, and W3C trace context in the metadata.

A span is started and ended, never made current around a stream: a generator may be
resumed in another context than it was left in.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.span import TraceState

from ensemble.transport.outgoing import Begun, Outgoing

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch

UNTRACED_SERVICES: Final = ("grpc.health.", "grpc.reflection.")
"""Services whose calls are not worth a span: probes and tools."""


@lru_cache(maxsize=512)
def is_traced(method: str) -> bool:
    """Return whether calls of this method get spans, given that tracing is on."""
    return not method.startswith(UNTRACED_SERVICES, 1)


@lru_cache(maxsize=512)
def span_identity(method: str) -> tuple[str, dict[str, str | int]]:
    """Return the name and the attributes of a span for a full method name.

    The status among them is that of most calls; ``end_span`` sets another.
    """
    service, _, name = method.removeprefix("/").partition("/")
    return f"{service}/{name}", {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": name,
        "rpc.grpc.status_code": 0,
    }


def tracing_is_on() -> bool:
    """Return whether a tracer provider that records was installed."""
    return not isinstance(
        trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider
    )


def inject(metadata: list[tuple[str, str | bytes]], context: SpanContext) -> None:
    """Append the W3C trace context."""
    metadata.append(
        (
            TRACEPARENT,
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}",
        )
    )
    if context.trace_state:
        metadata.append((TRACESTATE, context.trace_state.to_header()))


def extract(metadata: Iterable[tuple[str, str | bytes]]) -> Context | None:
    """Return a context with the caller's span, or None when none came along."""
    entries = dict(metadata)
    parent, state = entries.get(TRACEPARENT), entries.get(TRACESTATE)
    if not isinstance(parent, str) or (match := _TRACEPARENT(parent)) is None:
        return None
    span_context = SpanContext(
        int(match[1], 16),
        int(match[2], 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(match[3], 16)),
        trace_state=TraceState.from_header([state]) if isinstance(state, str) else None,
    )
    if not span_context.is_valid:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(span_context))


def trace_context(metadata: Mapping[str, str | bytes]) -> tuple[tuple[str, str], ...]:
    """Return the entries that carry a W3C trace context; empty when none came along."""
    parent = metadata.get(TRACEPARENT)
    if not isinstance(parent, str) or not _TRACEPARENT(parent):
        return ()
    state = metadata.get(TRACESTATE)
    return ((TRACEPARENT, parent), *([(TRACESTATE, state)] if isinstance(state, str) else ()))


def end_span(span: Span, code: grpc.StatusCode) -> None:
    """End the span of a call that ended with ``code``."""
    if code is not grpc.StatusCode.OK and span.is_recording():
        span.set_attribute("rpc.grpc.status_code", code.value[0])
        # A cancelled call is how a conversation is interrupted, not a fault.
        if code is not grpc.StatusCode.CANCELLED:
            span.set_status(Status(StatusCode.ERROR, code.name))
    span.end()


class TracingInterceptor:
    """Gives each call a client span and sends its context along.

    Without a tracer provider it only passes on a trace that came in.

    Args:
        provider: Makes the spans; the installed one when None.
    """

    def __init__(self, provider: trace.TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("ensemble.transport", tracer_provider=provider)

    def intercept(self, outgoing: Outgoing) -> Begun | None:
        """Start the span; it ends with the call."""
        traced = is_traced(outgoing.method)
        if traced:
            name, attributes = span_identity(outgoing.method)
            # Without a provider this costs nothing and returns the span around it, if any.
            span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        else:
            span = trace.get_current_span()
        context = span.get_span_context()
        if context.is_valid:
            inject(outgoing.metadata, context)
        if not traced or not span.is_recording():
            return None

        def begun(call: grpc.aio.Call | None) -> None:
            if call is None:
                end_span(span, grpc.StatusCode.INTERNAL)
            else:
                call.add_done_callback(lambda done: end_span(span, _code_of(done)))

        return begun


def _code_of(call: grpc.aio.Call) -> grpc.StatusCode:
    """Return the status of a call that has ended, without waiting for it."""
    answer = call.code()
    try:
        answer.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    answer.close()
    return grpc.StatusCode.UNKNOWN
