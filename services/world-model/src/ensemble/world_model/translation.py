"""Between the messages of the contract and the world model's own types."""

from google.protobuf.timestamp_pb2 import Timestamp

from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.world_model.entities import Change, Entity, Observation, Wanted

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000


def timestamp(microseconds: int) -> Timestamp:
    """Return ``microseconds`` since the Unix epoch as a message."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def observation(entity: pb.Entity) -> Observation:
    """Return what ``entity`` says was seen."""
    return Observation(
        entity.kind,
        entity.name,
        {attribute.name: attribute.value_json for attribute in entity.attributes},
        tuple(fact.text for fact in entity.facts),
        entity.removed,
    )


def wanted(request: pb.QueryRequest) -> Wanted:
    """Return what ``request`` asks for."""
    return Wanted(
        request.kind,
        request.name,
        dict(request.attributes_json),
        request.text,
        min(request.page_size or _DEFAULT_PAGE, _LARGEST_PAGE),
        request.page_token,
    )


def message(entity: Entity) -> pb.Entity:
    """Return ``entity`` as a message."""
    return pb.Entity(
        kind=entity.kind,
        name=entity.name,
        attributes=[
            pb.Attribute(
                name=attribute.name,
                value_json=attribute.value_json,
                observed_at=timestamp(attribute.observed_at),
            )
            for attribute in entity.attributes
        ],
        facts=[
            pb.Fact(fact_id=fact.fact_id, text=fact.text, observed_at=timestamp(fact.observed_at))
            for fact in entity.facts
        ],
        sequence=entity.sequence,
        removed=entity.removed,
    )


def changed(change: Change) -> pb.WatchResponse:
    """Return ``change`` as an event of a watch."""
    return pb.WatchResponse(
        sequence=change.sequence,
        created_at=timestamp(change.created_at),
        changed=message(change.entity),
    )
