"""OpenTelemetry for this process; its SDK is loaded only where traces are wanted."""

import importlib
import json
import threading
from pathlib import Path
from typing import Any, Protocol

from opentelemetry import trace

from ensemble.core.errors import ConfigurationError


class Traces(Protocol):
    """Where spans go, until it is closed."""

    def close(self) -> None:
        """Write what is not written yet, and stop."""


def start_tracing(where: str, *, instance_id: str) -> Traces | None:
    """Send the spans of this process to ``where``.

    Args:
        where: ``none``, ``file:PATH`` or ``otlp`` (see ``RuntimeSettings.traces``).
        instance_id: Told with every span.

    Raises:
        ConfigurationError: The file cannot be written, or the exporter is not installed.
    """
    kind, _, path = where.partition(":")
    if kind == "none":
        return None
    exporter = _file_exporter(Path(path).expanduser()) if kind == "file" else _otlp_exporter()
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider(
            resource=Resource.create(
                {"service.name": "ensemble", "service.instance.id": instance_id}
            ),
            shutdown_on_exit=False,
        )
        trace.set_tracer_provider(provider)
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=1000)
    provider.add_span_processor(processor)
    return _Processor(processor)


class _Processor:
    """A span processor that can be closed while its provider lives on: a process has one
    provider for good, but a test opens and closes several hosts.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def close(self) -> None:
        self._processor.shutdown()


def _otlp_exporter() -> Any:
    try:
        exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ImportError:
        raise ConfigurationError(
            "ENSEMBLE_TRACES: otlp needs a package that is not installed; "
            "install ensemble-runtime[otlp].",
            metadata={"variable": "ENSEMBLE_TRACES"},
        ) from None
    return exporter.OTLPSpanExporter()


def _file_exporter(path: Path) -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"ENSEMBLE_TRACES: {path} cannot be written ({error.strerror}).",
            metadata={"variable": "ENSEMBLE_TRACES"},
        ) from None

    class FileExporter(SpanExporter):
        def __init__(self) -> None:
            self._lock = threading.Lock()

        def export(self, spans: Any) -> Any:
            with self._lock:
                if file.closed:
                    return SpanExportResult.FAILURE
                file.writelines(f"{json.dumps(_as_json(span))}\n" for span in spans)
                file.flush()
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            with self._lock:
                file.close()

    return FileExporter()


def _as_json(span: Any) -> dict[str, Any]:
    context = span.get_span_context()
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "start_unix_nano": span.start_time,
        "end_unix_nano": span.end_time,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes or {}),
        "resource": dict(span.resource.attributes),
    }
