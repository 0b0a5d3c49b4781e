"""Running one tool."""

import structlog

from ensemble.core.errors import (
    EnsembleError,
    ToolFailedError,
    ToolOutcomeUnknownError,
    ToolTimeoutError,
)
from ensemble.tool_server.outcome import Outcome, to_json
from ensemble.tool_server.tool import Arguments, CallInfo
from ensemble.tool_server.toolbox import AnyTool

_LOG = structlog.get_logger()


async def execute(tool: AnyTool, arguments: Arguments, call: CallInfo) -> Outcome:
    """Run ``tool``; whatever goes wrong becomes the outcome."""
    try:
        return Outcome(to_json(await tool.run(arguments, call)))
    except EnsembleError as exc:
        return Outcome(error=exc)
    except Exception as exc:
        # The text of a foreign exception may hold what the person said: only its kind is kept.
        _LOG.warning("tool raised", tool=tool.name, error=type(exc).__name__)
        return Outcome(
            error=ToolFailedError(f"The tool {tool.name} failed.", metadata={"tool": tool.name})
        )


def cut_short(tool: AnyTool, limit: float) -> EnsembleError:
    """Return the error of a tool that ran out of time."""
    kind = ToolTimeoutError if tool.repeatable else ToolOutcomeUnknownError
    unknown = "" if tool.repeatable else " What it has done by then is not known."
    return kind(
        f"The tool {tool.name} took longer than {limit:g} seconds.{unknown}",
        metadata={"tool": tool.name},
    )
