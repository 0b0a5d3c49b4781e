"""Structured logs on standard error: one JSON object a line, or text for people.

Messages are static and dotted, ``noun.happened``; what varies goes into fields. Every line
carries the service and, inside a call, the request id as ``correlation_id``, also the lines
that libraries write through ``logging``.
"""

import logging
import sys
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO

import structlog

from ensemble.transport import context

service: ContextVar[str] = ContextVar("ensemble_service", default="")
"""Name of the service that the current task works for; empty for the process itself."""

_NOISY: Final = ("asyncio", "aiohttp", "grpc", "urllib3", "opentelemetry")
"""Libraries that are heard from warnings on, whatever the level."""


def configure(
    level: str = "info",
    style: Literal["auto", "json", "text"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send the logs of this process to ``stream`` (standard error). May be called again.

    Args:
        level: Least severe level that is written.
        style: JSON lines, text, or text on a terminal and JSON elsewhere.
        stream: Where to write.
    """
    output = stream if stream is not None else sys.stderr
    if style == "auto":
        style = "text" if output.isatty() else "json"
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _add_origin,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if style == "json":
        finish: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        finish = [
            structlog.dev.ConsoleRenderer(
                colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(output),
        # Loggers are made at import, before this is called, and tests configure again.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _add_origin(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    name = service.get()
    if name:
        event.setdefault("service", name)
    request = context.request_id.get()
    if request:
        event["correlation_id"] = request
    return event
