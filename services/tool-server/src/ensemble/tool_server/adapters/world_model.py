"""The world model over its service."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import grpc

from ensemble.core.errors import (
    DeadlineExceededError,
    DrainingError,
    EnsembleError,
    ServiceUnavailableError,
)
from ensemble.tool_server.ports import Found, Seen, Thing
from ensemble.transport import stream
from ensemble.transport.heartbeat import watch
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc

_TIMEOUT: Final = 5.0
"""Seconds one call may take: a commit waits for the disk, never for anything slower."""

_ERASE_TIMEOUT: Final = 55.0
"""Seconds an erasure may take: it goes through all that a person ever had recorded."""

_PAGE: Final = 1000
_BROWSED: Final = 100
"""Things of one page, where nobody knows how many there are."""


class WorldModelWorld:
    """A ``World`` behind a channel that somebody else owns."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = world_model_service_pb2_grpc.WorldModelServiceStub(channel)

    async def observe(self, request_id: str, seen: Sequence[Seen]) -> tuple[Thing, ...]:
        """See ``World.observe``."""
        request = pb.ObserveRequest(request_id=request_id, entities=map(_entity, seen))
        try:
            response = await self._stub.Observe(request, timeout=_TIMEOUT)
        except grpc.RpcError as exc:
            raise _error(exc) from exc
        return tuple(map(_thing, response.entities))

    async def find(
        self,
        kind: str,
        *,
        name: str = "",
        attributes: Mapping[str, Any] | None = None,
        text: str = "",
        limit: int = 100,
    ) -> Found:
        """See ``World.find``."""
        request = pb.QueryRequest(
            kind=kind,
            name=name,
            text=text,
            attributes_json={key: _json(value) for key, value in (attributes or {}).items()},
        )
        things: list[Thing] = []
        while True:
            request.page_size = min(limit - len(things), _PAGE)
            try:
                response = await self._stub.Query(request, timeout=_TIMEOUT)
            except grpc.RpcError as exc:
                raise _error(exc) from exc
            things += map(_thing, response.entities)
            request.page_token = response.next_page_token
            if not request.page_token or len(things) >= limit:
                return Found(tuple(things), response.sequence)

    async def browse(self, kind: str) -> AsyncGenerator[Thing, None]:
        """See ``World.browse``."""
        request = pb.QueryRequest(kind=kind, page_size=_BROWSED)
        while True:
            try:
                response = await self._stub.Query(request, timeout=_TIMEOUT)
            except grpc.RpcError as exc:
                raise _error(exc) from exc
            for entity in response.entities:
                yield _thing(entity)
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def erase(self, kinds: Sequence[str], attributes: Mapping[str, Any]) -> int:
        """See ``World.erase``."""
        request = pb.EraseRequest(
            kinds=kinds,
            attributes_json={key: _json(value) for key, value in attributes.items()},
        )
        try:
            response = await self._stub.Erase(request, timeout=_ERASE_TIMEOUT)
        except grpc.RpcError as exc:
            raise _error(exc) from exc
        return int(response.entities)

    async def watch(self, after: int) -> AsyncGenerator[Thing, None]:
        """See ``World.watch``."""
        request = pb.WatchRequest(resume_from_sequence=after)
        try:
            async with stream(self._stub.Watch(request)) as responses:
                async for response in watch(responses):
                    if response.HasField("changed"):
                        yield _thing(response.changed)
        except grpc.RpcError as exc:
            raise _error(exc) from exc
        raise ServiceUnavailableError("The world model ended the watch.")


def _error(exc: grpc.RpcError) -> EnsembleError:
    error = from_rpc_error(exc)
    if isinstance(error, DrainingError | DeadlineExceededError | ServiceUnavailableError):
        return ServiceUnavailableError("What the house knows cannot be reached just now.")
    return error


def _entity(seen: Seen) -> pb.Entity:
    return pb.Entity(
        kind=seen.kind,
        name=seen.name,
        attributes=[
            pb.Attribute(name=name, value_json="" if value is None else _json(value))
            for name, value in seen.attributes.items()
        ],
        facts=[pb.Fact(text=text) for text in seen.facts],
        removed=seen.removed,
    )


def _thing(entity: pb.Entity) -> Thing:
    return Thing(
        entity.kind,
        entity.name,
        {attribute.name: json.loads(attribute.value_json) for attribute in entity.attributes},
        tuple(fact.text for fact in entity.facts),
        entity.sequence,
        entity.removed,
        max((each.observed_at.ToDatetime(UTC) for each in entity.attributes), default=None),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
