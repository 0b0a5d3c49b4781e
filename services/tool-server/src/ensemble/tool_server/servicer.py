"""``ToolServerService`` over the toolbox."""

import asyncio
import base64
import binascii
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ensemble.core.errors import (
    DrainingError,
    InvalidArgumentError,
    UnexpectedMessageError,
    WrongFirstMessageError,
)
from ensemble.core.ids import new_id
from ensemble.tool_server import call as calls
from ensemble.tool_server.erasure import erase
from ensemble.tool_server.ledger import Ledger, fingerprint
from ensemble.tool_server.ports import World
from ensemble.tool_server.tool import identity_of
from ensemble.tool_server.toolbox import Offer, Toolbox
from ensemble.transport.context import PRINCIPAL_KEY, trusted
from ensemble.transport.heartbeat import with_heartbeats
from ensemble.transport.status import to_status
from ensemble.v1 import common_pb2, tool_pb2, tool_server_service_pb2_grpc
from ensemble.v1 import tool_server_service_pb2 as pb

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000


class ToolServerServicer(tool_server_service_pb2_grpc.ToolServerServiceServicer):
    """Translates between the contract and the tools.

    Args:
        toolbox: The tools.
        ledger: Results of earlier calls.
        world: Where tools keep things.
        time_limit: Seconds that any tool may run at most.
    """

    def __init__(self, toolbox: Toolbox, ledger: Ledger, world: World, time_limit: float) -> None:
        self._toolbox = toolbox
        self._ledger = ledger
        self._world = world
        self._time_limit = time_limit
        self._draining = False

    def drain(self) -> None:
        """Take no new call; those that run end within their time limit."""
        self._draining = True

    async def ListTools(
        self, request: pb.ListToolsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListToolsResponse:
        """List the tools in order of name."""
        size = min(request.page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
        offers, more = self._toolbox.page(_name_in(request.page_token), size)
        token = base64.urlsafe_b64encode(offers[-1].tool.name.encode()).decode() if more else ""
        return pb.ListToolsResponse(tools=map(_spec, offers), next_page_token=token)

    async def CallTool(
        self,
        request_iterator: AsyncIterator[pb.CallToolRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[pb.CallToolResponse]:
        """Run one tool."""
        if self._draining:
            raise DrainingError
        opening = await anext(aiter(request_iterator), None)
        if opening is None or opening.WhichOneof("event") != "start":
            raise WrongFirstMessageError
        call = calls.ToolCall(self._request(opening.start), self._ledger)
        envelope = _Envelope(opening.start.call.call_id, opening.event_id)
        reading = asyncio.create_task(_read(request_iterator, call, envelope))
        try:
            events = with_heartbeats(_messages(call, envelope), envelope.heartbeat)
            async with contextlib.aclosing(events):
                async for message in events:
                    yield message
        finally:
            reading.cancel()
            await asyncio.wait((reading,))

    async def EraseData(
        self, request: pb.EraseDataRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.EraseDataResponse:
        """Erase what tools keep of the caller."""
        principal = trusted.get().get(PRINCIPAL_KEY, "")
        things = await erase(self._world, self._ledger, principal, request.session_id)
        return pb.EraseDataResponse(things=things)

    def _request(self, start: pb.CallToolStart) -> calls.Request:
        if start.context.purpose == common_pb2.PURPOSE_SPECULATIVE:
            raise InvalidArgumentError(
                "A speculative call runs no tool.",
                violations={"start.context.purpose": "must not be speculative"},
            )
        offer = self._toolbox.find(start.call.name)
        arguments = offer.read(start.call.arguments_json)
        limit = min(offer.tool.time_limit, self._time_limit)
        if start.HasField("time_limit"):
            wanted = start.time_limit.ToNanoseconds() / 1e9
            if wanted <= 0:
                raise InvalidArgumentError(
                    "The time limit must be above 0.",
                    violations={"start.time_limit": "must be above 0"},
                )
            limit = min(limit, wanted)
        principal = trusted.get().get(PRINCIPAL_KEY, "")
        key = start.context.idempotency_key
        return calls.Request(
            tool=offer.tool,
            arguments=arguments,
            fingerprint=fingerprint(start.call.name, start.call.arguments_json),
            identity=identity_of(principal, key),
            keyed=bool(key),
            session_id=start.context.session_id,
            principal=principal,
            limit=limit,
            initial_credit=start.initial_credit,
        )


async def _messages(
    call: calls.ToolCall, envelope: "_Envelope"
) -> AsyncIterator[pb.CallToolResponse]:
    async with contextlib.aclosing(call.events()) as events:
        async for event in events:
            for message in envelope.messages(event):
                yield message


async def _read(
    requests: AsyncIterator[pb.CallToolRequest], call: calls.ToolCall, envelope: "_Envelope"
) -> None:
    # A caller that falls silent is not waited for: its call ends with the tool's time limit.
    async for request in requests:
        match request.WhichOneof("event"):
            case "credit":
                call.grant(request.credit.events)
            case "cancel":
                envelope.caused_by = request.event_id
                call.cancel()
            case "start":
                call.refuse(UnexpectedMessageError("A tool call is started only once."))


class _Envelope:
    """Turns events into messages with ids and positions."""

    def __init__(self, call_id: str, caused_by: str) -> None:
        self._call_id = call_id
        self.caused_by = caused_by
        self._sequence = 0

    def heartbeat(self) -> pb.CallToolResponse:
        now = _now()
        return pb.CallToolResponse(created_at=now, heartbeat=common_pb2.Heartbeat(sent_at=now))

    def messages(self, event: calls.Event) -> list[pb.CallToolResponse]:
        match event:
            case calls.Started(replayed):
                started = pb.CallToolStarted(call_id=self._call_id, replayed=replayed)
                return [self._wrap(started=started)]
            case calls.Progress(done, total, text):
                progress = pb.ToolProgress(
                    call_id=self._call_id, done=done, total=total, message=text
                )
                return [self._wrap(progress=progress)]
            case calls.Ended(None):
                return [self._done(common_pb2.STOP_REASON_CANCELLED)]
            case calls.Ended(outcome):
                assert outcome is not None
                result = tool_pb2.ToolResult(call_id=self._call_id)
                if outcome.error is None:
                    result.result_json = outcome.result_json
                    reason = common_pb2.STOP_REASON_COMPLETED
                else:
                    result.error.CopyFrom(to_status(outcome.error))
                    reason = common_pb2.STOP_REASON_FAILED
                return [self._wrap(result=result), self._done(reason)]

    def _done(self, reason: common_pb2.StopReason) -> pb.CallToolResponse:
        done = pb.CallToolDone(stop_reason=reason, usage=common_pb2.Usage())
        return self._wrap(done=done)

    def _wrap(
        self,
        *,
        started: pb.CallToolStarted | None = None,
        progress: pb.ToolProgress | None = None,
        result: tool_pb2.ToolResult | None = None,
        done: pb.CallToolDone | None = None,
    ) -> pb.CallToolResponse:
        self._sequence += 1
        return pb.CallToolResponse(
            event_id=new_id("evt"),
            sequence=self._sequence,
            created_at=_now(),
            caused_by_event_id=self.caused_by,
            started=started,
            progress=progress,
            result=result,
            done=done,
        )


def _spec(offer: Offer) -> tool_pb2.ToolSpec:
    tool = offer.tool
    return tool_pb2.ToolSpec(
        name=tool.name,
        description=tool.description,
        input_schema_json=json.dumps(offer.input_schema),
        output_schema_json=json.dumps(offer.output_schema),
        utterances=tool.utterances,
        idempotent=tool.idempotent,
        read_only=tool.read_only,
        idempotent_by_key=tool.idempotent_by_key,
    )


def _name_in(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (ValueError, binascii.Error) as exc:
        raise InvalidArgumentError(
            "The page token is not one of this service.", violations={"page_token": "unknown"}
        ) from exc


def _now() -> Timestamp:
    now = Timestamp()
    now.FromNanoseconds(time.time_ns())
    return now
