"""Taking an address, and saying clearly why not."""

import os
import socket
from pathlib import Path

import grpc
import pytest

from ensemble.core.errors import ConfigurationError
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.tls import client_tls
from ensemble.transport import open_channel
from ensemble.v1 import world_model_service_pb2 as pb
from ensemble.v1 import world_model_service_pb2_grpc as stubs

pytestmark = pytest.mark.unit

CERTIFICATES = Path(__file__).parent / "certificates"
TLS = {
    "tls_cert": CERTIFICATES / "node.pem",
    "tls_key": CERTIFICATES / "node.key",
    "tls_ca": CERTIFICATES / "ca.pem",
}


def hosting(scripted, address, **settings):
    service = scripted()
    return Host(
        {"world-model": lambda _: service},
        RuntimeSettings(**settings),
        listen={"world-model": [address]},
        environ={},
    )


async def refusal(host):
    with pytest.raises(ConfigurationError) as caught:
        async with host:
            pass
    return caught.value.message


async def test_a_taken_port_is_named_with_what_to_do(scripted):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = await refusal(hosting(scripted, f"127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}" in message
    assert "taken by another program" in message
    assert "ENSEMBLE_WORLD_MODEL_LISTEN" in message


async def test_two_hosts_do_not_share_a_port(scripted):
    async with hosting(scripted, "127.0.0.1:0") as first:
        (address,) = first.addresses_of("world-model")
        other = Host(
            {"stt": lambda _: scripted("stt")},
            RuntimeSettings(),
            listen={"stt": [address]},
            environ={},
        )
        assert "taken by another program" in await refusal(other)


async def test_what_was_taken_is_free_after_a_refusal(scripted):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        service = scripted()
        host = Host(
            {"world-model": lambda _: service},
            RuntimeSettings(),
            listen={"world-model": ["127.0.0.1:0", taken]},
            environ={},
        )
        await refusal(host)
        first = host.addresses_of("world-model")[0]
    async with hosting(scripted, first) as again:
        assert again.addresses_of("world-model") == (first,)


@pytest.mark.parametrize("address", ["7706", "localhost", "127.0.0.1:http", "127.0.0.1:99999"])
async def test_what_is_no_address_is_refused(scripted, address):
    assert "ENSEMBLE_WORLD_MODEL_LISTEN" in await refusal(hosting(scripted, address))


async def test_other_machines_are_let_in_by_tls_only(scripted):
    message = await refusal(hosting(scripted, "0.0.0.0:0"))
    assert "no TLS is configured" in message
    assert "ENSEMBLE_TLS_CERT" in message


async def test_a_socket_file_that_nobody_serves_is_replaced(scripted, tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    async with hosting(scripted, f"unix:{path}"):
        assert oct(os.stat(path).st_mode & 0o777) == "0o600"


async def test_a_socket_that_is_served_is_left_alone(scripted, tmp_path):
    address = f"unix:{tmp_path}/s.sock"
    async with hosting(scripted, address) as first:
        await first.settled()
        other = Host(
            {"stt": lambda _: scripted("stt")},
            RuntimeSettings(),
            listen={"stt": [address]},
            environ={},
        )
        assert "taken by another program" in await refusal(other)
        async with open_channel(address) as channel:
            await stubs.WorldModelServiceStub(channel).Query(pb.QueryRequest())


async def test_a_socket_in_no_folder_is_refused(scripted, tmp_path):
    assert "cannot be used" in await refusal(hosting(scripted, f"unix:{tmp_path}/no/s.sock"))


async def ask(address, tls):
    async with open_channel(address, tls=tls) as channel:
        return await stubs.WorldModelServiceStub(channel).Query(pb.QueryRequest(), timeout=10)


async def test_tls_is_spoken_where_it_is_configured(scripted):
    async with hosting(scripted, "127.0.0.1:0", **TLS) as host:
        (address,) = host.addresses_of("world-model")
        await host.settled()
        await ask(address, client_tls(RuntimeSettings(**TLS)))
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(address, None)


async def test_a_client_without_a_certificate_is_kept_out_where_one_is_asked_for(scripted):
    mutual = {**TLS, "tls_client_ca": CERTIFICATES / "ca.pem"}
    async with hosting(scripted, "127.0.0.1:0", **mutual) as host:
        (address,) = host.addresses_of("world-model")
        await host.settled()
        await ask(address, client_tls(RuntimeSettings(**TLS)))
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(address, client_tls(RuntimeSettings(tls_ca=TLS["tls_ca"])))


async def test_tls_lets_a_service_listen_to_the_outside(scripted):
    async with hosting(scripted, "0.0.0.0:0", **TLS) as host:
        (address,) = host.addresses_of("world-model")
        await host.settled()
        port = address.rpartition(":")[2]
        await ask(f"localhost:{port}", client_tls(RuntimeSettings(**TLS)))


async def test_a_certificate_that_is_not_there_is_named(scripted, tmp_path):
    missing = {**TLS, "tls_cert": tmp_path / "gone.pem"}
    with pytest.raises(ConfigurationError, match=r"ENSEMBLE_TLS_CERT: .*gone\.pem"):
        hosting(scripted, "127.0.0.1:0", **missing)
