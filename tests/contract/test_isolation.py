"""Nothing but bytes, metadata, deadline and cancellation crosses, in one process as in two."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue

from tests.contract.conftest import Serve
from tests.contract.handlers import (
    ECHO,
    failure,
    stream_stream,
    stream_unary,
    unary_stream,
    unary_unary,
)

pytestmark = pytest.mark.contract

secret: ContextVar[str] = ContextVar("secret", default="unset")


async def test_context_variables_of_the_caller_are_not_seen(serve: Serve) -> None:
    seen: list[str] = []

    async def unary(request: bytes, context: Any) -> bytes:
        seen.append(secret.get())
        secret.set("the handler's")
        return b""

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        seen.append(secret.get())
        secret.set("the handler's")
        yield b""
        seen.append(secret.get())

    async def collect(requests: AsyncIterator[bytes], context: Any) -> bytes:
        seen.extend([secret.get() async for _ in requests])
        return b""

    peer = await serve(
        {
            "Unary": unary_unary(unary),
            "Stream": unary_stream(stream),
            "Collect": stream_unary(collect),
        }
    )
    secret.set("the caller's")
    await peer.unary_unary("Unary")(b"")
    async for _ in peer.unary_stream("Stream")(b""):
        assert secret.get() == "the caller's"
    await peer.stream_unary("Collect")(iter([b"a"]))
    assert seen == ["unset", "unset", "the handler's", "unset"]
    assert secret.get() == "the caller's"


async def test_requests_are_drawn_in_the_callers_context(serve: Serve) -> None:
    peer = await serve(ECHO)
    secret.set("the caller's")

    async def requests() -> AsyncIterator[bytes]:
        yield secret.get().encode()

    responses = [one async for one in peer.stream_stream("EchoAll")(requests())]
    assert responses == [b"the caller's"]


async def test_a_message_that_is_changed_later_was_sent_as_it_was(serve: Serve) -> None:
    async def growing(request: bytes, context: Any) -> AsyncIterator[ListValue]:
        message = ListValue()
        for number in range(3):
            message.append(number)
            yield message

    handler = grpc.unary_stream_rpc_method_handler(
        growing, response_serializer=ListValue.SerializeToString
    )
    peer = await serve({"Growing": handler})
    call = peer.unary_stream("Growing", response_deserializer=ListValue.FromString)(b"")
    assert [list(response) async for response in call] == [[0], [0, 1], [0, 1, 2]]


class Recorder(grpc.aio.ServerInterceptor):
    """Notes that it was passed, and whether those before it were."""

    def __init__(self, name: str, passed: list[str]) -> None:
        self._name = name
        self._passed = passed

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self._passed.append(f"{self._name} {details.method} {secret.get()}")
        assert dict(details.invocation_metadata)["k"] == "v"
        secret.set(self._name)
        return await continuation(details)


async def test_interceptors_run_in_order_and_share_the_handlers_context(serve: Serve) -> None:
    passed: list[str] = []

    async def report(request: bytes, context: Any) -> bytes:
        return secret.get().encode()

    interceptors = [Recorder("outer", passed), Recorder("inner", passed)]
    peer = await serve({"Report": unary_unary(report)}, interceptors=interceptors)
    secret.set("the caller's")
    assert await peer.unary_unary("Report")(b"", metadata=(("k", "v"),)) == b"inner"
    method = "/contract.v1.ProbeService/Report"
    assert passed == [f"outer {method} unset", f"inner {method} outer"]


async def test_interceptors_see_unknown_methods_too(serve: Serve) -> None:
    passed: list[str] = []
    peer = await serve(ECHO, interceptors=[Recorder("only", passed)])
    error = await failure(peer.unary_unary("Nothing")(b"", metadata=(("k", "v"),)))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert len(passed) == 1


async def test_an_interceptor_may_serve_or_refuse_by_itself(serve: Serve) -> None:
    class Replace(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            async def replaced(request: bytes, context: Any) -> bytes:
                return b"replaced"

            if details.method.endswith("Echo"):
                return grpc.unary_unary_rpc_method_handler(replaced)
            raise PermissionError("closed")

    peer = await serve(ECHO, interceptors=[Replace()])
    assert await peer.unary_unary("Echo")(b"x") == b"replaced"
    error = await failure(peer.unary_stream("Count")(b"1"))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "Unexpected <class 'PermissionError'>: closed"


async def test_a_wrapped_stream_passes_everything_through(serve: Serve) -> None:
    class Shout(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)

            async def shouted(requests: Any, context: Any) -> AsyncIterator[bytes]:
                async for response in handler.stream_stream(requests, context):
                    yield response.upper()

            return stream_stream(shouted)

    peer = await serve(ECHO, interceptors=[Shout()])
    call = peer.stream_stream("EchoAll")(iter([b"a", b"b"]))
    assert [response async for response in call] == [b"A", b"B"]


async def test_a_slow_reader_holds_its_writer_back(serve: Serve) -> None:
    sent = 0

    async def flood(request: bytes, context: Any) -> AsyncIterator[bytes]:
        nonlocal sent
        for number in range(1000):
            yield b"%05d" % number + b"x" * 20_000
            sent += 1

    peer = await serve({"Flood": unary_stream(flood)})
    call = peer.unary_stream("Flood")(b"")
    assert (await call.read()).startswith(b"00000")
    await asyncio.sleep(0.2)
    # How much is under way differs (one message here, HTTP/2 windows there), but it ends.
    assert sent < 500
    rest = 1
    while (response := await call.read()) is not grpc.aio.EOF:
        assert response.startswith(b"%05d" % rest)
        rest += 1
    assert rest == 1000
    assert sent == 1000
