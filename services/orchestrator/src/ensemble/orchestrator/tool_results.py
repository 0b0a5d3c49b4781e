"""Results of tools, as the record keeps them and as a model reads them."""

import json

from ensemble.core.errors import DrainingError, EnsembleError, ToolFailedError
from ensemble.orchestrator.patience import LOST
from ensemble.transport.status import from_status, to_status
from ensemble.v1 import tool_pb2


def failed(call_id: str, error: EnsembleError) -> tool_pb2.ToolResult:
    """Return the result of a call that failed."""
    return tool_pb2.ToolResult(call_id=call_id, error=to_status(error))


def for_model(result: tool_pb2.ToolResult) -> tool_pb2.ToolResult:
    """Return ``result`` as a model reads it: a failure becomes JSON like any other result."""
    if result.WhichOneof("outcome") != "error":
        return result
    error = from_status(result.error)
    if isinstance(error, (*LOST, DrainingError)):
        # Which service it was, and whether to try again, is nothing that a person is to be told.
        error = ToolFailedError("The tool server is not available.")
    elif type(error) is EnsembleError:
        error = ToolFailedError()
    text = json.dumps({"error": error.reason, "message": error.message})
    return tool_pb2.ToolResult(call_id=result.call_id, result_json=text)
