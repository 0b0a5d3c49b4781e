"""``WorldModelService`` over a ``WorldStore``."""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ensemble.core.errors import (
    DrainingError,
    InvalidArgumentError,
    ResumeOutOfRangeError,
    StorageUnavailableError,
)
from ensemble.core.services import HEARTBEAT_INTERVAL
from ensemble.transport.context import PRINCIPAL_KEY, trusted
from ensemble.v1 import common_pb2, world_model_service_pb2_grpc
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.world_model import translation
from ensemble.world_model.ports import WorldStore

_BATCH: Final = 64
"""Changes read at a time for one watcher; all that a slow one ever holds in memory."""


class WorldModelServicer(world_model_service_pb2_grpc.WorldModelServiceServicer):
    """Translates between the contract and the store it was given with ``serve``."""

    def __init__(self) -> None:
        self._opened: WorldStore | None = None
        self._draining = False

    def serve(self, store: WorldStore) -> None:
        """Answer from ``store`` from now on; until then every call is told to try again."""
        self._opened = store

    def drain(self) -> None:
        """End every watch within a heartbeat and take no new one."""
        self._draining = True

    async def Observe(
        self, request: pb.ObserveRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ObserveResponse:
        """Record what was seen."""
        observations = [translation.observation(entity) for entity in request.entities]
        recorded = await self._store.observe(request.request_id, observations, _principal())
        return pb.ObserveResponse(
            entities=[translation.message(entity) for entity in recorded.entities],
            sequence=recorded.sequence,
        )

    async def Query(
        self, request: pb.QueryRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.QueryResponse:
        """Return the entities that match."""
        page = await self._store.query(translation.wanted(request))
        return pb.QueryResponse(
            entities=[translation.message(entity) for entity in page.entities],
            next_page_token=page.next_page_token,
            sequence=page.sequence,
        )

    async def Watch(
        self, request: pb.WatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchResponse]:
        """Follow changes."""
        self._refuse_when_draining()
        after = await self._store.head()
        if request.HasField("resume_from_sequence"):
            if request.resume_from_sequence > after:
                raise ResumeOutOfRangeError(
                    f"The last change of the world model is {after}.",
                    metadata={"last": str(after)},
                )
            after = request.resume_from_sequence
        yield pb.WatchResponse(created_at=_now(), started=pb.WatchStarted(sequence=after))
        sent_at = time.monotonic()
        while True:
            self._refuse_when_draining()
            found = await self._store.changes(after, request.kind, _BATCH)
            for change in found.changes:
                yield translation.changed(change)
                sent_at = time.monotonic()
                self._refuse_when_draining()
            after = found.upto
            idle = HEARTBEAT_INTERVAL - (time.monotonic() - sent_at)
            if idle <= 0 or not await self._store.wait(after, idle):
                now = _now()
                yield pb.WatchResponse(created_at=now, heartbeat=common_pb2.Heartbeat(sent_at=now))
                sent_at = time.monotonic()

    async def Erase(
        self, request: pb.EraseRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.EraseResponse:
        """Erase what the caller had recorded."""
        if not (principal := _principal()):
            raise InvalidArgumentError("Nobody in particular calls, so nothing is theirs.")
        erased = await self._store.erase(
            principal, list(request.kinds), dict(request.attributes_json)
        )
        return pb.EraseResponse(entities=erased.entities, sequence=erased.sequence)

    @property
    def _store(self) -> WorldStore:
        if self._opened is None:
            raise StorageUnavailableError("The world model is not open yet; try again.")
        return self._opened

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise DrainingError


def _principal() -> str:
    return trusted.get().get(PRINCIPAL_KEY, "")


def _now() -> Timestamp:
    return translation.timestamp(time.time_ns() // 1000)
