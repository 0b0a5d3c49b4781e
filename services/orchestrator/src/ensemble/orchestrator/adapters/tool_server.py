"""The tool server as the orchestrator's tools."""

import grpc

from ensemble.orchestrator.adapters.peer_stream import Peer, PeerStream, Settling
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import tool_pb2, tool_server_service_pb2, tool_server_service_pb2_grpc


class ToolServerTools:
    """Lists and runs tools at the tool server. Implements ``Tools``.

    Args:
        channel: To the tool server.
        settling: Owner of calls that were left.
        patience_s: How long a patient call waits for a server that is restarting.
    """

    def __init__(self, channel: grpc.aio.Channel, settling: Settling, patience_s: float) -> None:
        self._stub = tool_server_service_pb2_grpc.ToolServerServiceStub(channel)
        self._peer = Peer("tool server", settling)
        self._patience_s = patience_s

    async def list_tools(self) -> list[tool_pb2.ToolSpec]:
        """Return all tools, page by page."""
        tools: list[tool_pb2.ToolSpec] = []
        token = ""
        try:
            while True:
                page = await self._stub.ListTools(
                    tool_server_service_pb2.ListToolsRequest(page_size=1000, page_token=token),
                    timeout=self._patience_s,
                    wait_for_ready=True,
                )
                tools.extend(page.tools)
                token = page.next_page_token
                if not token:
                    return tools
        except grpc.RpcError as exc:
            raise from_rpc_error(exc, self._peer.name) from exc

    def call_tool(
        self, start: tool_server_service_pb2.CallToolStart, *, patient: bool = False
    ) -> PeerStream[
        tool_server_service_pb2.CallToolRequest, tool_server_service_pb2.CallToolResponse
    ]:
        """Run one tool."""
        return PeerStream(
            self._stub.CallTool,
            tool_server_service_pb2.CallToolRequest,
            self._peer,
            tool_server_service_pb2.CallToolRequest(start=start),
            patience_s=self._patience_s if patient else 0.0,
        )
