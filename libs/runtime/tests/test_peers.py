"""Where a peer is looked for, in which order."""

import pytest

from ensemble.core.errors import ConfigurationError
from ensemble.runtime.addresses import listen_addresses
from ensemble.runtime.host import Host
from ensemble.runtime.peers import PeerChannels
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs

pytestmark = pytest.mark.unit

EXPLICIT = {"ENSEMBLE_MODEL_ROUTER_ADDRESS": "unix:/run/router.sock"}
CONSUL = RuntimeSettings(consul_address="127.0.0.1:8500")


@pytest.mark.parametrize(
    ("settings", "colocated", "environ", "address", "transport"),
    [
        (CONSUL, {"model-router"}, EXPLICIT, "unix:/run/router.sock", "unix"),
        (CONSUL, {"model-router"}, {}, "inproc:model-router", "inproc"),
        (CONSUL, set(), {}, "consul:model-router", "consul"),
        (RuntimeSettings(), set(), {}, "127.0.0.1:7702", "tcp"),
    ],
)
def test_explicit_then_colocated_then_consul_then_default(
    settings, colocated, environ, address, transport
):
    peers = PeerChannels(settings, colocated=colocated, environ=environ)
    assert peers.address_of("model-router") == address
    assert peers.transport_of("model-router") == transport


def test_a_peer_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="no service called sst"):
        PeerChannels(RuntimeSettings()).get("sst")


async def test_a_channel_is_made_once():
    peers = PeerChannels(RuntimeSettings(), environ={})
    assert peers.get("stt") is peers.get("stt")
    await peers.close()


@pytest.mark.parametrize(
    ("environ", "always", "addresses"),
    [
        ({}, True, ("127.0.0.1:7704",)),
        ({}, False, ()),
        ({"ENSEMBLE_STT_ADDRESS": "10.0.0.5:9"}, True, ("10.0.0.5:9",)),
        ({"ENSEMBLE_STT_ADDRESS": "consul:stt"}, True, ("127.0.0.1:7704",)),
        (
            {"ENSEMBLE_STT_LISTEN": "127.0.0.1:1, unix:/s", "ENSEMBLE_STT_ADDRESS": "h:2"},
            False,
            ("127.0.0.1:1", "unix:/s"),
        ),
    ],
)
def test_the_address_is_what_a_service_listens_on_unless_it_is_told_otherwise(
    environ, always, addresses
):
    assert listen_addresses("stt", environ, always=always) == addresses


async def test_one_service_reaches_another_by_an_explicit_address(scripted, tmp_path, settings):
    inner, outer = scripted(), scripted("orchestrator")
    address = f"unix:{tmp_path}/w.sock"
    remote = Host(
        {"world-model": lambda _: inner}, settings, listen={"world-model": [address]}, environ={}
    )
    found = []

    def build(channels):
        found.append(channels.get("world-model"))
        return outer

    near = Host(
        {"orchestrator": build}, settings, environ={"ENSEMBLE_WORLD_MODEL_ADDRESS": address}
    )
    async with remote, near:
        await stubs.WorldModelServiceStub(found[0]).Query(pb.QueryRequest())
