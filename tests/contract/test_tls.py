"""TLS and mutual TLS between machines; the other transports never leave this one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ensemble.transport import Tls, open_channel
from ensemble.transport.options import SERVER_OPTIONS
from tests.contract.conftest import SERVICE
from tests.contract.handlers import ECHO, failure, unary_unary

pytestmark = pytest.mark.contract

CERTIFICATES = Path(__file__).parent / "certificates"


def pem(name: str) -> bytes:
    return (CERTIFICATES / f"{name}.pem").read_bytes()


async def common_name(request: bytes, context: Any) -> bytes:
    names = context.auth_context().get("x509_common_name", [b""])
    return bytes(next(iter(names)))


async def serve_tls(require_client: bool) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handlers = {**ECHO, "Who": unary_unary(common_name)}
    server.add_registered_method_handlers(SERVICE, handlers)
    credentials = grpc.ssl_server_credentials(
        [(pem("server.key"), pem("server"))],
        root_certificates=pem("authority") if require_client else None,
        require_client_auth=require_client,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, port


@pytest.fixture
async def one_sided() -> AsyncIterator[int]:
    server, port = await serve_tls(require_client=False)
    yield port
    await server.stop(None)


@pytest.fixture
async def mutual() -> AsyncIterator[int]:
    server, port = await serve_tls(require_client=True)
    yield port
    await server.stop(None)


async def call(address: str, tls: Tls | None, method: str = "Echo") -> Any:
    async with open_channel(address, tls=tls) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{method}")(b"hello", timeout=10)  # type: ignore[arg-type]
        try:
            return await call
        except grpc.aio.AioRpcError:
            return await failure(call)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_server_is_known_by_its_authority(one_sided: int, host: str) -> None:
    trusting = Tls(root_certificates=pem("authority"))
    assert await call(f"{host}:{one_sided}", trusting) == b"hello"


async def test_a_name_may_stand_for_the_address(one_sided: int) -> None:
    named = Tls(root_certificates=pem("authority"), server_name="server.ensemble.test")
    assert await call(f"ipv4:127.0.0.1:{one_sided}", named) == b"hello"
    wrong = Tls(root_certificates=pem("authority"), server_name="somebody.else.test")
    refused = await call(f"ipv4:127.0.0.1:{one_sided}", wrong)
    assert refused.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "tls", [Tls(root_certificates=pem("stranger")), None], ids=["stranger", "plain"]
)
async def test_without_trust_there_is_no_call(one_sided: int, tls: Tls | None) -> None:
    refused = await call(f"127.0.0.1:{one_sided}", tls)
    assert refused.code() is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls_names_the_client(mutual: int) -> None:
    client = Tls(
        root_certificates=pem("authority"),
        certificate_chain=pem("client"),
        private_key=pem("client.key"),
    )
    assert await call(f"127.0.0.1:{mutual}", client, "Who") == b"client.ensemble.test"
    nameless = await call(f"127.0.0.1:{mutual}", Tls(root_certificates=pem("authority")))
    assert nameless.code() is grpc.StatusCode.UNAVAILABLE
