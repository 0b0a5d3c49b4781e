"""Traces reach a collector over OTLP, whole, from every process that had a part in an answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)

from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration

TOPOLOGY = "tcp"
"""A process for each service: each exports its own part of the trace."""

SERVICES = (
    "GatewayService",
    "OrchestratorService",
    "ModelRouterService",
    "ToolServerService",
    "WorldModelService",
)
"""Those that have a part in the answer to a typed command."""


class _Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.processes: dict[bytes, str] = {}

    async def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            told = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += scope.spans
                for span in scope.spans:
                    self.processes[span.span_id] = told["service.instance.id"]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[tuple[_Collector, str]]:
    """A collector and its address."""
    server = grpc.aio.server()
    running = _Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(running, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield running, f"127.0.0.1:{port}"
    await server.stop(0)


async def test_a_collector_gets_the_whole_trace_of_an_answer(
    own_stack: Stack, collector: tuple[_Collector, str]
) -> None:
    received, address = collector
    own_stack.environ["ENSEMBLE_TRACES"] = "otlp"
    own_stack.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{address}"
    await own_stack.start()
    await own_stack.ask("turn on the kitchen light")
    # Not on this loop: a process that stops sends what is left, and the collector is to take it.
    await asyncio.to_thread(own_stack.stop)
    (router,) = {span.trace_id for span in received.spans if span.name.startswith("chat ")}
    trace = {span.span_id: span for span in received.spans if span.trace_id == router}
    for service in SERVICES:
        assert any(f".{service}/" in span.name for span in trace.values()), service
    roots = [span for span in trace.values() if span.parent_span_id not in trace]
    assert [span.name for span in roots] == ["ensemble.v1.GatewayService/Converse"]
    assert len({received.processes[span_id] for span_id in trace}) == len(SERVICES)
    assert "kitchen" not in str(received.spans)
