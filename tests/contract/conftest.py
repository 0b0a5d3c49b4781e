"""One test body, every transport. ``grpc.aio`` itself is the reference: it runs the same tests."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from ensemble.transport import InProcessServer, open_channel
from ensemble.transport.options import SERVER_OPTIONS, merged
from ensemble.transport.outgoing import ClientInterceptor

SERVICE = "contract.v1.ProbeService"

Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


@dataclass
class Peer:
    """A server, and a channel to it."""

    address: str
    server: grpc.aio.Server
    channel: grpc.aio.Channel

    def unary_unary(self, name: str, **kwargs: Any) -> Any:
        return self.channel.unary_unary(f"/{SERVICE}/{name}", **kwargs)

    def unary_stream(self, name: str, **kwargs: Any) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/{name}", **kwargs)

    def stream_unary(self, name: str, **kwargs: Any) -> Any:
        return self.channel.stream_unary(f"/{SERVICE}/{name}", **kwargs)

    def stream_stream(self, name: str, **kwargs: Any) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/{name}", **kwargs)


@dataclass
class Serve:
    """Starts peers on one transport and stops them after the test."""

    transport: str
    folder: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __call__(
        self,
        handlers: Handlers,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        client: Sequence[ClientInterceptor] | None = (),
        server_options: Sequence[tuple[str, Any]] = (),
        client_options: Sequence[tuple[str, Any]] = (),
    ) -> Peer:
        options = merged(SERVER_OPTIONS, server_options)
        address, server = self.bind(interceptors, options)
        server.add_registered_method_handlers(SERVICE, handlers)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, dict(handlers)),)
        )
        await server.start()
        self.stack.push_async_callback(server.stop, None)
        return Peer(address, server, self.dial(address, client, client_options))

    def dial(
        self,
        address: str,
        client: Sequence[ClientInterceptor] | None = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> grpc.aio.Channel:
        channel = open_channel(address, interceptors=client, options=options)
        self.stack.push_async_callback(channel.close)
        return channel

    def bind(
        self,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        options: Sequence[tuple[str, Any]] = (),
        address: str = "",
    ) -> tuple[str, grpc.aio.Server]:
        """Return an address and a server for it that is not started."""
        if self.transport == "inproc":
            address = address or f"inproc:{uuid4().hex}"
            name = address.removeprefix("inproc:")
            return address, InProcessServer(name, interceptors=interceptors, options=options)
        server = grpc.aio.server(interceptors=interceptors, options=tuple(options))
        if self.transport == "unix":
            address = address or f"unix:{self.folder}/{uuid4().hex[:8]}"
            server.add_insecure_port(address)
            return address, server
        port = server.add_insecure_port(address or "127.0.0.1:0")
        return f"127.0.0.1:{port}", server

    def nowhere(self) -> str:
        """Return an address where nobody listens."""
        return {
            "inproc": "inproc:nobody",
            "unix": f"unix:{self.folder}/nobody",
            "tcp": "127.0.0.1:1",
        }[self.transport]


@pytest.fixture(params=["inproc", "unix", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def serve(transport: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    # A unix path may have 107 bytes: the base folder is shorter than a test's own.
    starter = Serve(transport, tmp_path_factory.getbasetemp())
    async with starter.stack:
        yield starter
