"""How calls end: codes, texts, trailers and the error catalogue."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from ensemble.core.errors import InvalidArgumentError, RateLimitedError
from ensemble.transport.status import DETAILS_KEY, from_rpc_error, to_status
from tests.contract.conftest import Serve
from tests.contract.handlers import (
    ECHO,
    echo,
    failure,
    stream_stream,
    stream_unary,
    unary_stream,
    unary_unary,
)

pytestmark = pytest.mark.contract


def shapes(error: Exception) -> dict[str, Any]:
    """Return a handler of each shape that fails with ``error``."""

    async def unary(request: bytes, context: Any) -> bytes:
        raise error

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"before"
        raise error

    return {
        "Unary": unary_unary(unary),
        "Stream": unary_stream(stream),
        "Collect": stream_unary(unary),
        "Converse": stream_stream(stream),
    }


async def test_an_exception_becomes_unknown_with_its_text(serve: Serve) -> None:
    peer = await serve(shapes(ValueError("boom: é")))
    for call in (
        peer.unary_unary("Unary")(b""),
        peer.unary_stream("Stream")(b""),
        peer.stream_unary("Collect")(iter([b"a"])),
        peer.stream_stream("Converse")(iter([b"a"])),
    ):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.UNKNOWN
        assert error.details() == "Unexpected <class 'ValueError'>: boom: é"
        assert error.__cause__ is None


async def test_what_was_sent_before_the_error_arrives(serve: Serve) -> None:
    async def stumble(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number
        raise ValueError("late")

    peer = await serve({"Stumble": unary_stream(stumble)})
    call = peer.unary_stream("Stumble")(b"")
    received = []
    with pytest.raises(grpc.aio.AioRpcError, match="late"):
        async for response in call:
            received.append(response)  # noqa: PERF401 - kept in spite of the error
    assert received == [b"0", b"1", b"2"]
    assert await call.code() is grpc.StatusCode.UNKNOWN


async def test_an_unknown_method_is_unimplemented(serve: Serve) -> None:
    peer = await serve(ECHO)
    for call in (
        peer.unary_unary("Nothing")(b""),
        peer.unary_stream("Nothing")(b""),
        peer.stream_unary("Nothing")(),
        peer.stream_stream("Nothing")(),
    ):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert error.details() == "Method not found!"


async def test_abort_ends_with_code_details_and_trailers(serve: Serve) -> None:
    async def refuse(request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.ABORTED, "não", (("why", "because"),))
        raise AssertionError("not reached")

    async def refuse_late(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "late", (("why", "because"),))

    peer = await serve({"Refuse": unary_unary(refuse), "Late": unary_stream(refuse_late)})
    error = await failure(peer.unary_unary("Refuse")(b""))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "não")
    assert tuple(error.trailing_metadata()) == (("why", "because"),)
    assert tuple(error.initial_metadata()) == ()
    late = await failure(peer.unary_stream("Late")(b""))
    assert (late.code(), late.details()) == (grpc.StatusCode.OUT_OF_RANGE, "late")
    assert tuple(late.trailing_metadata()) == (("why", "because"),)


async def test_abort_cannot_be_undone(serve: Serve) -> None:
    seen: list[str] = []
    over = asyncio.Event()

    async def swallow(request: bytes, context: Any) -> bytes:
        try:
            await context.abort(grpc.StatusCode.ABORTED, "stays")
        except grpc.aio.AbortError:
            seen.append("swallowed")
        try:
            await context.abort(grpc.StatusCode.INTERNAL, "again")
        except grpc.aio.UsageError as error:
            seen.append(str(error))
        over.set()
        return b"ignored"

    peer = await serve({"Swallow": unary_unary(swallow)})
    error = await failure(peer.unary_unary("Swallow")(b""))
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "stays")
    async with asyncio.timeout(5):
        await over.wait()
    assert seen == ["swallowed", "Abort already called!"]


async def test_a_code_that_was_set_wins_over_the_response(serve: Serve) -> None:
    async def missing(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("nothing here")
        assert context.code() is grpc.StatusCode.NOT_FOUND
        assert context.details() == "nothing here"
        return b"ignored"

    async def missing_and_broken(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        raise ValueError("broken")

    peer = await serve({"Missing": unary_unary(missing), "Broken": unary_unary(missing_and_broken)})
    error = await failure(peer.unary_unary("Missing")(b""))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "nothing here")
    broken = await failure(peer.unary_unary("Broken")(b""))
    assert broken.code() is grpc.StatusCode.NOT_FOUND
    assert broken.details() == "Unexpected <class 'ValueError'>: broken"


async def test_a_request_that_cannot_be_parsed_fails_the_call(serve: Serve) -> None:
    def refuse(message: bytes) -> Any:
        raise ValueError("not a message")

    handler = grpc.unary_unary_rpc_method_handler(echo, request_deserializer=refuse)
    peer = await serve({"Parse": handler})
    error = await failure(peer.unary_unary("Parse")(b"x"))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "Unexpected <class 'ValueError'>: not a message"


async def test_a_response_that_cannot_be_serialised_fails_the_call(serve: Serve) -> None:
    def refuse(message: bytes) -> bytes:
        raise ValueError("not to be sent")

    async def one(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield request

    peer = await serve(
        {
            "Unary": grpc.unary_unary_rpc_method_handler(echo, response_serializer=refuse),
            "Stream": grpc.unary_stream_rpc_method_handler(one, response_serializer=refuse),
        }
    )
    for call in (peer.unary_unary("Unary")(b"x"), peer.unary_stream("Stream")(b"x")):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.UNKNOWN
        assert error.details() == "Unexpected <class 'ValueError'>: not to be sent"


async def test_a_response_that_cannot_be_parsed_is_none(serve: Serve) -> None:
    def refuse(message: bytes) -> Any:
        raise ValueError("not a message")

    peer = await serve(ECHO)
    assert await peer.unary_unary("Echo", response_deserializer=refuse)(b"x") is None


async def test_rich_status_reaches_the_client(serve: Serve) -> None:
    async def refuse(request: bytes, context: Any) -> bytes:
        status = to_status(
            InvalidArgumentError("no such day", violations={"start.day": "must be 1 to 31"})
        )
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            status.message,
            ((DETAILS_KEY, status.SerializeToString()),),
        )
        raise AssertionError("not reached")

    async def busy(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        status = to_status(RateLimitedError(metadata={"limit": "5"}, retry_after=1.5))
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            status.message,
            ((DETAILS_KEY, status.SerializeToString()),),
        )

    peer = await serve({"Refuse": unary_unary(refuse), "Busy": unary_stream(busy)})
    refused = from_rpc_error(await failure(peer.unary_unary("Refuse")(b"")))
    assert isinstance(refused, InvalidArgumentError)
    assert refused.message == "no such day"
    assert refused.violations == {"start.day": "must be 1 to 31"}
    limited = from_rpc_error(await failure(peer.unary_stream("Busy")(b"")))
    assert isinstance(limited, RateLimitedError)
    assert (limited.metadata, limited.retry_after) == ({"limit": "5"}, 1.5)


async def test_an_error_can_be_asked_for_without_being_raised(serve: Serve) -> None:
    peer = await serve(shapes(ValueError("boom")))
    call = peer.unary_unary("Unary")(b"")
    assert await call.code() is grpc.StatusCode.UNKNOWN
    assert await call.details() == "Unexpected <class 'ValueError'>: boom"
    assert await call.initial_metadata() == grpc.aio.Metadata()
    assert await call.trailing_metadata() == grpc.aio.Metadata()
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    with pytest.raises(grpc.aio.AioRpcError):
        await call


async def test_an_escaped_cancellation_is_turned_into_a_status(serve: Serve) -> None:
    # grpc.aio sends nothing when a handler lets a CancelledError of its own escape, and
    # the client waits until its deadline: the outermost interceptor has to translate it.
    class Translate(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)

            async def translated(request: Any, context: Any) -> Any:
                try:
                    return await handler.unary_unary(request, context)
                except asyncio.CancelledError:
                    await context.abort(grpc.StatusCode.CANCELLED, "The call was cancelled.")

            return grpc.unary_unary_rpc_method_handler(translated)

    async def escape(request: bytes, context: Any) -> bytes:
        raise asyncio.CancelledError

    peer = await serve({"Escape": unary_unary(escape)}, interceptors=[Translate()])
    error = await failure(peer.unary_unary("Escape")(b"", timeout=5))
    assert error.code() is grpc.StatusCode.CANCELLED
    assert error.details() == "The call was cancelled."


async def test_a_method_that_was_not_overridden_is_unimplemented(serve: Serve) -> None:
    # What protoc generates for a service's base class, for every shape.
    def missing(request: Any, context: Any) -> Any:
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError("Method not implemented!")

    peer = await serve({"Unary": unary_unary(missing), "Stream": unary_stream(missing)})
    for call in (peer.unary_unary("Unary")(b""), peer.unary_stream("Stream")(b"")):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert (error.details() or "").endswith("Method not implemented!")
