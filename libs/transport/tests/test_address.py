"""The address picks the transport, and may not leave the machine unprotected."""

import grpc
import pytest

from ensemble.core.errors import ConfigurationError
from ensemble.transport import Tls, open_channel
from ensemble.transport.address import host_of, is_local, scheme_of
from ensemble.transport.options import CHANNEL_OPTIONS, SERVER_OPTIONS, merged

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("address", "scheme", "local"),
    [
        ("inproc:stt", "inproc", True),
        ("unix:/run/ensemble/stt", "unix", True),
        ("unix:///run/ensemble/stt", "unix", True),
        ("consul:stt", "consul", False),
        ("consul:orchestrator/orc_1", "consul", False),
        ("127.0.0.1:7700", "dns", True),
        ("localhost:7700", "dns", True),
        ("[::1]:7700", "dns", True),
        ("dns:///localhost:7700", "dns", True),
        ("dns:///stt.home.arpa:7700", "dns", False),
        ("dns://8.8.8.8/localhost:7700", "dns", True),
        ("10.0.0.1:7700", "dns", False),
        ("0.0.0.0:7700", "dns", False),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", "ipv4", True),
        ("ipv4:127.0.0.1:1,10.0.0.2:2", "ipv4", False),
        ("ipv6:[::1]:7700", "ipv6", True),
        ("stt:7700", "dns", False),
    ],
)
def test_addresses(address: str, scheme: str, local: bool) -> None:
    assert scheme_of(address) == scheme
    assert is_local(address) is local


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1:7700", "127.0.0.1"),
        ("dns:///stt:7700", "stt"),
        ("[::1]:7700", "::1"),
        ("ipv4:10.0.0.1:80", "10.0.0.1"),
        ("stt", "stt"),
    ],
)
def test_hosts(address: str, host: str) -> None:
    assert host_of(address) == host


async def test_an_address_elsewhere_needs_tls() -> None:
    with pytest.raises(ConfigurationError, match="ENSEMBLE_TLS_CA"):
        open_channel("dns:///stt.example.com:7704")
    channel = open_channel("dns:///stt.example.com:7704", tls=Tls(server_name="stt"))
    assert isinstance(channel, grpc.aio.Channel)
    await channel.close()


async def test_no_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        open_channel("")


def test_later_options_win() -> None:
    assert merged([("a", 1), ("b", 2)], [("a", 3)]) == (("a", 3), ("b", 2))


def test_a_server_bears_the_pings_of_our_clients() -> None:
    client, server = dict(CHANNEL_OPTIONS), dict(SERVER_OPTIONS)
    assert client["grpc.keepalive_time_ms"] > server["grpc.http2.min_ping_interval_without_data_ms"]
    assert client["grpc.max_receive_message_length"] == server["grpc.max_receive_message_length"]
