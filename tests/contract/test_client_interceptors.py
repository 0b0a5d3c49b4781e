"""What our calls carry: request id, deadline, who it is for, and the trace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ensemble.transport import context as call_context
from ensemble.transport.interceptors import api_key
from ensemble.transport.outgoing import Outgoing
from ensemble.transport.tracing import TracingInterceptor, extract
from tests.contract.conftest import Serve
from tests.contract.handlers import ECHO, Waiting, failure, unary_unary

pytestmark = pytest.mark.contract


class Reporter:
    """Keeps the metadata of the last call."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}

    async def report(self, request: bytes, context: Any) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        return request

    def methods(self) -> dict[str, Any]:
        return {"Report": unary_unary(self.report)}


async def test_each_call_has_a_request_id(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve(reporter.methods(), client=None)
    await peer.unary_unary("Report")(b"")
    first = reporter.metadata["x-request-id"]
    await peer.unary_unary("Report")(b"")
    assert reporter.metadata["x-request-id"] != first
    call_context.request_id.set("req_outer")
    await peer.unary_unary("Report")(b"")
    assert reporter.metadata["x-request-id"] == "req_outer"
    await peer.unary_unary("Report")(b"", metadata=(("x-request-id", "req_own"),))
    assert reporter.metadata["x-request-id"] == "req_own"


async def test_calls_say_for_whom_they_are(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve(reporter.methods(), client=None)
    call_context.trusted.set({call_context.TENANT_KEY: "home", call_context.PRINCIPAL_KEY: "ada"})
    await peer.unary_unary("Report")(b"")
    assert reporter.metadata["x-ensemble-tenant"] == "home"
    assert reporter.metadata["x-ensemble-principal"] == "ada"


async def test_a_client_shows_its_key(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve(reporter.methods(), client=[api_key("ek_123")])
    await peer.unary_unary("Report")(b"")
    assert reporter.metadata["authorization"] == "Bearer ek_123"


async def test_interceptors_run_outermost_first_and_may_change_the_call(serve: Serve) -> None:
    reporter = Reporter()
    order: list[str] = []

    class Append:
        def __init__(self, name: str) -> None:
            self.name = name

        def intercept(self, outgoing: Outgoing) -> Any:
            order.append(self.name)
            outgoing.metadata.append(("passed", self.name))
            outgoing.timeout = 9

            def begun(call: grpc.aio.Call | None) -> None:
                assert call is not None
                order.append(f"{self.name} began")

            return begun

    peer = await serve(reporter.methods(), client=[Append("a"), Append("b")])
    call = peer.unary_unary("Report")(b"")
    assert call.time_remaining() <= 9
    await call
    assert order == ["a", "b", "a began", "b began"]


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def tracing(spans: InMemorySpanExporter) -> TracingInterceptor:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return TracingInterceptor(provider)


async def finished(spans: InMemorySpanExporter, number: int = 1) -> Any:
    async with asyncio.timeout(5):
        while len(spans.get_finished_spans()) < number:
            await asyncio.sleep(0.005)
    return spans.get_finished_spans()


async def test_a_call_is_a_span_and_carries_its_context(
    serve: Serve, spans: InMemorySpanExporter
) -> None:
    reporter = Reporter()
    peer = await serve(reporter.methods(), client=[tracing(spans)])
    await peer.unary_unary("Report")(b"")
    (span,) = await finished(spans)
    assert span.name == "contract.v1.ProbeService/Report"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.attributes["rpc.method"] == "Report"
    assert span.attributes["rpc.grpc.status_code"] == 0
    context = extract(reporter.metadata.items())
    assert context is not None
    carried = trace.get_current_span(context).get_span_context()
    assert carried.trace_id == span.context.trace_id
    assert carried.span_id == span.context.span_id


async def test_a_failed_call_is_a_failed_span(serve: Serve, spans: InMemorySpanExporter) -> None:
    peer = await serve(ECHO, client=[tracing(spans)])
    await failure(peer.unary_unary("Nothing")(b""))
    (span,) = await finished(spans)
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes["rpc.grpc.status_code"] == 12


async def test_a_stream_is_one_span_however_it_ends(
    serve: Serve, spans: InMemorySpanExporter
) -> None:
    waiting = Waiting()
    peer = await serve({**waiting.methods(), **ECHO}, client=[tracing(spans)])

    async def requests() -> AsyncIterator[bytes]:
        yield b"a"
        assert not trace.get_current_span().is_recording()

    assert [one async for one in peer.stream_stream("EchoAll")(requests())] == [b"a"]
    assert not trace.get_current_span().is_recording()
    (first,) = await finished(spans)
    assert first.name.endswith("/EchoAll")
    call = peer.unary_stream("Stream")(b"")
    await call.read()
    call.cancel()
    ended = await finished(spans, 2)
    assert ended[1].attributes["rpc.grpc.status_code"] == 1
    assert ended[1].status.status_code is trace.StatusCode.UNSET


async def test_without_a_tracer_a_trace_passes_through(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve(reporter.methods(), client=[TracingInterceptor()])
    await peer.unary_unary("Report")(b"")
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        assert "traceparent" not in reporter.metadata
    incoming = extract([("traceparent", f"00-{1:032x}-{2:016x}-01"), ("tracestate", "a=b")])
    assert incoming is not None
    span = trace.get_current_span(incoming)
    with trace.use_span(span):
        await peer.unary_unary("Report")(b"")
    assert reporter.metadata["traceparent"].startswith(f"00-{1:032x}-")
    assert reporter.metadata["tracestate"] == "a=b"


async def test_health_checks_are_not_traced(serve: Serve, spans: InMemorySpanExporter) -> None:
    peer = await serve(ECHO, client=[tracing(spans)])
    await failure(peer.channel.unary_unary("/grpc.health.v1.Health/Check")(b""))
    await peer.unary_unary("Echo")(b"")
    (only,) = await finished(spans)
    assert only.name.endswith("/Echo")
