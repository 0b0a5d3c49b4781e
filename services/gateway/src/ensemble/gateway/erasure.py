"""Erasing what services keep of one person, wherever that is."""

from typing import Final

import grpc.aio

from ensemble.core.errors import EnsembleError, ServiceUnavailableError
from ensemble.gateway.orchestrators import Orchestrators
from ensemble.gateway.ports import Peers
from ensemble.transport.status import from_rpc_error, not_reached
from ensemble.v1 import (
    gateway_service_pb2,
    orchestrator_service_pb2,
    tool_server_service_pb2,
    tool_server_service_pb2_grpc,
)

_SECONDS: Final = 60.0
"""Longest wait for one service: it goes through all that a person ever said."""


async def erase(peers: Peers, session_id: str) -> gateway_service_pb2.EraseSessionsResponse:
    """Erase one session of the caller, or with an empty id everything of the caller.

    What failed half way is completed by asking again: the record of one session goes last,
    because only while it is there is it known whose it was; of everything the records go
    first, because an answer under way in one of them keeps everything as it is.

    Raises:
        EnsembleError: There is no such session, it is busy, or a service failed.
    """
    things = await _tools(peers, session_id) if session_id else 0
    records = await _records(peers, session_id)
    if not session_id:
        things = await _tools(peers, session_id)
    return gateway_service_pb2.EraseSessionsResponse(
        sessions=records.sessions, events=records.events, things=things
    )


async def _records(peers: Peers, session_id: str) -> orchestrator_service_pb2.EraseRecordsResponse:
    """Erase what was said: each orchestrator erases the sessions that it can hold."""
    request = orchestrator_service_pb2.EraseRecordsRequest(session_id=session_id)
    erased: orchestrator_service_pb2.EraseRecordsResponse = await Orchestrators(peers).call(
        "EraseRecords", request, _SECONDS
    )
    for address in erased.elsewhere:
        if not address:
            raise ServiceUnavailableError(
                "Some sessions are held where this gateway cannot reach; the others were erased. "
                "Ask again through the gateway there."
            )
        more = await Orchestrators(peers, address).call("EraseRecords", request, _SECONDS)
        erased.sessions += more.sessions
        erased.events += more.events
    return erased


async def _tools(peers: Peers, session_id: str) -> int:
    stub = tool_server_service_pb2_grpc.ToolServerServiceStub(peers.get("tool-server"))
    request = tool_server_service_pb2.EraseDataRequest(session_id=session_id)
    try:
        return int((await stub.EraseData(request, timeout=_SECONDS)).things)
    except grpc.aio.AioRpcError as exc:
        raise _explained(exc, session_id) from exc


def _explained(exc: grpc.aio.AioRpcError, session_id: str) -> EnsembleError:
    error = from_rpc_error(exc)
    if not_reached(exc) or isinstance(error, ServiceUnavailableError):
        done = "nothing was" if session_id else "only what was said was"
        return ServiceUnavailableError(
            f"What tools keep cannot be erased just now; {done} erased. Try again."
        )
    return error
