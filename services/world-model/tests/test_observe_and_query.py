import grpc
import pytest

from ensemble.core.errors import InvalidArgumentError
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import world_model_service_pb2 as pb

pytestmark = pytest.mark.unit


def lamp(value, **more):
    return pb.Entity(
        kind="device",
        name="lamp",
        attributes=[pb.Attribute(name="state", value_json=value)],
        **more,
    )


async def test_what_was_observed_is_found(world):
    seen = lamp('"on"', facts=[pb.Fact(text="from grandma")])
    observed = await world.Observe(pb.ObserveRequest(entities=[seen]))
    found = await world.Query(pb.QueryRequest(kind="device", name="LAMP", text="grandma"))
    assert list(found.entities) == list(observed.entities)
    assert found.sequence == observed.sequence == 1
    (entity,) = found.entities
    assert entity.attributes[0].value_json == '"on"'
    assert entity.attributes[0].observed_at.seconds > 0
    assert entity.facts[0].fact_id
    assert entity.facts[0].observed_at.seconds > 0


async def test_a_second_request_of_one_id_changes_nothing(world):
    first = await world.Observe(pb.ObserveRequest(request_id="r", entities=[lamp("1")]))
    second = await world.Observe(pb.ObserveRequest(request_id="r", entities=[lamp("2")]))
    assert first == second


async def test_pages(world):
    entities = [pb.Entity(kind="n", name=str(number)) for number in range(5)]
    await world.Observe(pb.ObserveRequest(entities=entities))
    first = await world.Query(pb.QueryRequest(page_size=3))
    second = await world.Query(pb.QueryRequest(page_size=3, page_token=first.next_page_token))
    assert [e.name for e in [*first.entities, *second.entities]] == list("01234")
    assert not second.next_page_token


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Observe", pb.ObserveRequest(entities=[lamp("on")])),
        ("Observe", pb.ObserveRequest()),
        ("Observe", pb.ObserveRequest(entities=[pb.Entity(kind="Not A Kind", name="x")])),
        ("Query", pb.QueryRequest(page_token="what")),
        ("Query", pb.QueryRequest(attributes_json={"state": "on"})),
        ("Query", pb.QueryRequest(page_size=1001)),
    ],
)
async def test_bad_requests_are_refused_with_the_field(world, method, request_):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(world, method)(request_)
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert error.violations


async def test_the_caller_erases_what_was_recorded_for_it(world):
    anna = [("x-ensemble-principal", "anna")]
    await world.Observe(pb.ObserveRequest(entities=[lamp("1")]), metadata=anna)
    request = pb.EraseRequest(kinds=["device"])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.Erase(request)
    assert isinstance(from_rpc_error(caught.value), InvalidArgumentError)
    assert (await world.Erase(request, metadata=anna)).entities == 1
    found = await world.Query(pb.QueryRequest())
    assert (len(found.entities), found.sequence) == (0, 2)
