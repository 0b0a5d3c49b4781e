"""A world model in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ensemble.transport.heartbeat import with_heartbeats
from ensemble.v1 import world_model_service_pb2, world_model_service_pb2_grpc

Event = world_model_service_pb2.WatchResponse


class ScriptedWorldModel(world_model_service_pb2_grpc.WorldModelServiceServicer):
    """Keeps the changes it was told of and lets them be watched.

    Attributes:
        history: Every change, in order.
    """

    def __init__(self) -> None:
        self.history: list[Event] = []
        self.entities: dict[tuple[str, str], world_model_service_pb2.Entity] = {}
        self.watches = 0
        self._news = asyncio.Condition()

    async def change(self, kind: str, name: str, **attributes: Any) -> None:
        """Record a change; values are whatever JSON can say."""
        entity = world_model_service_pb2.Entity(kind=kind, name=name)
        for key, value in sorted(attributes.items()):
            entity.attributes.add(name=key, value_json=json.dumps(value))
        await self._record(entity)

    async def _record(self, entity: world_model_service_pb2.Entity) -> None:
        entity.sequence = len(self.history) + 1
        self.entities[entity.kind, entity.name] = entity
        self.history.append(Event(sequence=entity.sequence, changed=entity))
        async with self._news:
            self._news.notify_all()

    async def Observe(self, request: Any, context: Any) -> world_model_service_pb2.ObserveResponse:
        for entity in request.entities:
            await self._record(entity)
        return world_model_service_pb2.ObserveResponse(
            entities=request.entities, sequence=len(self.history)
        )

    async def Query(self, request: Any, context: Any) -> world_model_service_pb2.QueryResponse:
        found = [
            entity
            for (kind, name), entity in sorted(self.entities.items())
            if request.kind in ("", kind) and request.name in ("", name)
        ]
        return world_model_service_pb2.QueryResponse(entities=found, sequence=len(self.history))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Event]:
        self.watches += 1
        events = with_heartbeats(self._changes(request), lambda: Event(heartbeat={}))
        async with aclosing(events) as stream:
            async for event in stream:
                yield event

    async def _changes(self, request: Any) -> AsyncIterator[Event]:
        after = len(self.history)
        if request.HasField("resume_from_sequence"):
            after = request.resume_from_sequence
        yield Event(started={"sequence": after})
        while True:
            while after < len(self.history):
                event = self.history[after]
                after += 1
                if request.kind in ("", event.changed.kind):
                    yield event
            async with self._news:
                while after >= len(self.history):
                    await self._news.wait()
