"""Metadata: what passes, in which order, and what is refused where."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.contract.conftest import Serve
from tests.contract.handlers import ECHO, failure, unary_stream, unary_unary

pytestmark = pytest.mark.contract


class Reporter:
    """Keeps what the client sent."""

    def __init__(self) -> None:
        self.metadata: list[tuple[str, str | bytes]] = []
        self.peer = ""

    async def report(self, request: bytes, context: Any) -> bytes:
        entries = context.invocation_metadata()
        self.metadata = [(entry.key, entry.value) for entry in entries]
        self.peer = context.peer()
        return request

    def without_own(self) -> list[tuple[str, str | bytes]]:
        return [entry for entry in self.metadata if entry[0] != "user-agent"]


async def test_the_server_sees_what_the_client_sent(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve({"Report": unary_unary(reporter.report)})
    sent = (("k", "1"), ("other", "x"), ("k", "2"), ("raw-bin", b"\x00\xff"), ("empty", ""))
    await peer.unary_unary("Report")(b"", metadata=sent)
    assert reporter.without_own() == [
        ("k", "1"),
        ("k", "2"),
        ("other", "x"),
        ("raw-bin", b"\x00\xff"),
        ("empty", ""),
    ]
    assert reporter.metadata[0][0] == "user-agent"
    assert str(reporter.metadata[0][1]).startswith(f"grpc-python-asyncio/{grpc.__version__}")
    await peer.unary_unary("Report")(b"", metadata=grpc.aio.Metadata(("a", "b"), ("a", "c")))
    assert reporter.without_own() == [("a", "b"), ("a", "c")]


async def test_the_server_names_the_client(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve({"Report": unary_unary(reporter.report)})
    await peer.unary_unary("Report")(b"")
    kinds = {"inproc": "inproc:", "unix": "unix:", "tcp": "ipv4:127.0.0.1:"}
    assert reporter.peer.startswith(kinds[serve.transport])


@pytest.mark.parametrize(
    "entry",
    [
        ("X-Upper", "v"),
        ("é", "v"),
        ("with space", "v"),
        ("", "v"),
        (":method", "v"),
        ("a", "é"),
        ("a", "line\nbreak"),
    ],
)
async def test_what_is_not_legal_is_refused_on_the_client(
    serve: Serve, entry: tuple[str, str]
) -> None:
    reporter = Reporter()
    peer = await serve({"Report": unary_unary(reporter.report), **ECHO})
    with pytest.raises(grpc.aio.InternalError):
        await peer.unary_unary("Report")(b"", metadata=(entry,))
    assert reporter.metadata == []
    for call in (
        peer.unary_stream("Count")(b"1", metadata=(entry,)),
        peer.stream_unary("Total")(iter([b"1"]), metadata=(entry,)),
        peer.stream_stream("EchoAll")(iter([b"1"]), metadata=(entry,)),
    ):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.INTERNAL
        assert error.details() == "Invalid metadata"


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (("a-bin", "text"), "Binary metadata key=\"a-bin\" expected bytes, got <class 'str'>"),
        (("a", 1), "Expected str, not <class 'int'>"),
    ],
)
async def test_values_of_the_wrong_type_are_refused(
    serve: Serve, entry: tuple[str, Any], complaint: str
) -> None:
    peer = await serve(ECHO)
    with pytest.raises(TypeError) as raised:
        await peer.unary_unary("Echo")(b"", metadata=(entry,))
    assert str(raised.value) == complaint
    with pytest.raises(TypeError):
        async for _ in peer.unary_stream("Count")(b"1", metadata=(entry,)):
            pass


async def test_bytes_that_are_text_arrive_as_text(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve({"Report": unary_unary(reporter.report)})
    await peer.unary_unary("Report")(b"", metadata=(("plain", b"text"),))
    assert reporter.without_own() == [("plain", "text")]


async def test_keys_of_the_protocol_itself_do_not_arrive(serve: Serve) -> None:
    reporter = Reporter()
    peer = await serve({"Report": unary_unary(reporter.report)})
    own = (("te", "x"), ("content-type", "x"), ("user-agent", "me"), ("kept", "y"))
    await peer.unary_unary("Report")(b"", metadata=own)
    assert reporter.without_own() == [("kept", "y")]
    assert reporter.metadata[0][1] != "me"


async def test_metadata_has_a_largest_size(serve: Serve) -> None:
    peer = await serve(ECHO)
    assert await peer.unary_unary("Echo")(b"x", metadata=(("k", "v" * 7000),)) == b"x"
    for shape in ("unary_unary", "unary_stream"):
        name = "Echo" if shape == "unary_unary" else "Count"
        call = getattr(peer, shape)(name)(b"1", metadata=(("k", "v" * 17000),))
        error = await failure(call)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.details() == (
            "received metadata size exceeds hard limit (value length 17000 vs. 16384)"
        )
    many = [(f"k{number}", "v" * 2000) for number in range(10)]
    error = await failure(peer.unary_unary("Echo")(b"x", metadata=many))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (error.details() or "").startswith("received metadata size exceeds hard limit (")


async def test_headers_and_trailers_frame_the_responses(serve: Serve) -> None:
    headers = (("first", "1"), ("first-bin", b"\x01"))
    trailers = (("last", "2"), ("last-bin", b"\x02"))

    async def unary(request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata(headers)
        context.set_trailing_metadata(trailers)
        assert tuple(context.trailing_metadata()) == trailers
        return request

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        await context.send_initial_metadata(headers)
        yield request
        context.set_trailing_metadata(trailers)

    peer = await serve({"Unary": unary_unary(unary), "Stream": unary_stream(stream)})
    call = peer.unary_unary("Unary")(b"x")
    assert tuple(await call.initial_metadata()) == headers
    assert await call == b"x"
    assert tuple(await call.trailing_metadata()) == trailers
    opened = peer.unary_stream("Stream")(b"x")
    assert tuple(await opened.initial_metadata()) == headers
    assert not opened.done()
    assert [response async for response in opened] == [b"x"]
    assert tuple(await opened.trailing_metadata()) == trailers


async def test_headers_come_with_the_first_response_if_not_before(serve: Serve) -> None:
    peer = await serve(ECHO)
    call = peer.unary_stream("Count")(b"2")
    assert await call.initial_metadata() == grpc.aio.Metadata()
    assert [response async for response in call] == [b"0", b"1"]
    assert await call.trailing_metadata() == grpc.aio.Metadata()


async def test_headers_are_sent_once(serve: Serve) -> None:
    async def twice(request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata((("a", "1"),))
        await context.send_initial_metadata((("a", "2"),))
        return b""

    async def late(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"x"
        await context.send_initial_metadata((("a", "1"),))

    peer = await serve({"Twice": unary_unary(twice), "Late": unary_stream(late)})
    for call in (peer.unary_unary("Twice")(b""), peer.unary_stream("Late")(b"")):
        error = await failure(call)
        assert error.code() is grpc.StatusCode.UNKNOWN
        assert error.details() == (
            "Unexpected <class 'grpc._cython.cygrpc.UsageError'>: "
            "Send initial metadata failed: already sent"
        )


async def test_what_a_server_may_not_send_ends_the_call(serve: Serve) -> None:
    async def bad_header(request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata((("X-Upper", "1"),))
        return b""

    async def bad_trailer(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("X-Upper", "1"),))
        return b""

    async def no_metadata(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata("abc")
        return b""

    peer = await serve(
        {
            "Header": unary_unary(bad_header),
            "Trailer": unary_unary(bad_trailer),
            "None": unary_unary(no_metadata),
        }
    )
    for name in ("Header", "Trailer"):
        error = await failure(peer.unary_unary(name)(b""))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert error.details() == "Invalid metadata"
    error = await failure(peer.unary_unary("None")(b""))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert (error.details() or "").startswith("Unexpected <class 'TypeError'>: Invalid trailing")
