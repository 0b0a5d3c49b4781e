"""A conversation whose stream is lost goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ensemble.client import EnsembleClient
from ensemble.client.conversation import Conversation, Gap
from ensemble.core.errors import (
    EnsembleError,
    ServiceUnavailableError,
    SessionBusyError,
)
from ensemble.testkit.scripted.peers import interceptors
from ensemble.transport import InProcessServer
from ensemble.v1 import gateway_service_pb2, gateway_service_pb2_grpc, session_events_pb2

pytestmark = pytest.mark.unit

Event = session_events_pb2.ServerEvent
Response = gateway_service_pb2.ConverseResponse


class Gateway(gateway_service_pb2_grpc.GatewayServiceServicer):
    """Sends its record, and breaks streams as it is told.

    Attributes:
        record: Events by sequence, from 1.
        cuts: For each stream in turn, how many events it sends before it fails with ``error``;
            afterwards none fails.
        starts, texts, audio: What came.
    """

    def __init__(self, *cuts: int) -> None:
        self.record: list[Event] = []
        self.cuts = list(cuts)
        self.error: EnsembleError = ServiceUnavailableError()
        self.accepted = session_events_pb2.InputAccepted()
        self.accepts = True
        self.starts: list[session_events_pb2.SessionStart] = []
        self.texts: list[tuple[int, str]] = []
        self.audio: list[int] = []

    def add(self, text: str) -> None:
        event = Event(sequence=len(self.record) + 1)
        event.response_text_delta.text = text
        self.record.append(event)

    async def Converse(self, request_iterator: Any, context: Any) -> AsyncIterator[Response]:
        requests = aiter(request_iterator)
        start = (await anext(requests)).event.start
        self.starts.append(start)
        cut = self.cuts.pop(0) if self.cuts else -1
        started = Event()
        started.started.session.session_id = "ses_1"
        started.started.input.CopyFrom(self.accepted)
        yield Response(event=started)
        reading = asyncio.create_task(self._read(requests))
        try:
            after = start.resume_from_sequence
            for sent, event in enumerate(self.record[after:]):
                if sent == cut:
                    break
                yield Response(event=event)
            await asyncio.wait({reading}, timeout=0.2 if cut >= 0 else 5)
            if cut >= 0:
                raise self.error
        finally:
            reading.cancel()

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            event = request.event
            match event.WhichOneof("event"):
                case "input_text":
                    self.texts.append((event.input_text.item, event.input_text.text))
                    if self.accepts:
                        self.accepted.text_items = max(
                            self.accepted.text_items, event.input_text.item
                        )
                case "input_audio":
                    self.audio.append(event.input_audio.offset_samples)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    servers = []

    async def one(name: str, gateway: Gateway) -> str:
        server = InProcessServer(name, interceptors=interceptors("gateway"))
        gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(gateway, server)
        await server.start()
        servers.append(server)
        return f"inproc:{name}"

    yield one
    for server in servers:
        await server.stop(0)


@asynccontextmanager
async def talking(address: str, **rest: Any) -> AsyncIterator[Conversation]:
    async with (
        EnsembleClient(address, api_key="k") as client,
        client.converse(session_id="ses_1", resume_from_sequence=0, **rest) as talk,
    ):
        yield talk


async def test_every_event_comes_once_whatever_is_cut(serve) -> None:
    gateway = Gateway(3, 0, 2)
    for number in range(10):
        gateway.add(f"{number}")
    address = await serve("cut-gateway", gateway)
    gaps: list[Gap] = []
    async with EnsembleClient(address, api_key="k") as client:
        start = client.converse(session_id="ses_1", resume_from_sequence=0, on_gap=gaps.append)
        async with start as talk:
            seen = []
            async for event in talk:
                seen.append(event.sequence)
                if len(seen) == 10:
                    break
    assert seen == list(range(1, 11))
    assert [start.resume_from_sequence for start in gateway.starts] == [0, 3, 3, 5]
    assert [gap.reason for gap in gaps] == ["SERVICE_UNAVAILABLE"] * 3
    assert all(gap.seconds >= 0 and gap.tries == 1 for gap in gaps)


async def test_what_was_not_accepted_is_sent_again_in_order(serve) -> None:
    gateway = Gateway(0)
    gateway.accepts = False
    gateway.accepted.text_items = 0
    gateway.add("x")
    address = await serve("input-gateway", gateway)
    async with talking(address) as talk:
        await talk.send_text("one")
        await talk.send_audio(b"\0\0" * 320, samples=320)
        await talk.send_text("two")
        await talk.send_audio(b"\0\0" * 320, samples=320)
        async for event in talk:
            assert event.sequence == 1
            break
        await asyncio.sleep(0.1)
    assert gateway.texts == [(1, "one"), (2, "two")] * 2
    assert gateway.audio == [0, 320] * 2


async def test_what_was_accepted_is_not_sent_again(serve) -> None:
    gateway = Gateway(0)
    gateway.add("x")
    address = await serve("accepting-gateway", gateway)
    async with talking(address) as talk:
        await talk.send_text("one")
        async for _ in talk:
            break
        await asyncio.sleep(0.1)
    assert gateway.texts == [(1, "one")]


async def test_the_new_stream_says_what_was_heard(serve) -> None:
    gateway = Gateway(1)
    gateway.add("x")
    gateway.add("y")
    address = await serve("heard-gateway", gateway)
    async with talking(address) as talk:
        await talk.report_playback("resp_1", 441)
        async for event in talk:
            if event.sequence == 2:
                break
    playback = gateway.starts[1].playback
    assert (playback.response_id, playback.played_samples) == ("resp_1", 441)


async def test_another_gateway_takes_over(serve) -> None:
    first, second = Gateway(1, 0, 0, 0, 0), Gateway()
    for gateway in (first, second):
        gateway.add("x")
        gateway.add("y")
    addresses = f"{await serve('one-gateway', first)},{await serve('two-gateway', second)}"
    async with talking(addresses) as talk:
        async for event in talk:
            if event.sequence == 2:
                break
    assert [start.resume_from_sequence for start in second.starts] == [1]


async def test_patience_ends_with_the_error_of_the_loss(serve) -> None:
    gateway = Gateway(*[0] * 1000)
    gateway.add("x")
    address = await serve("dead-gateway", gateway)
    async with EnsembleClient(address, api_key="k") as client:
        start = client.converse(session_id="ses_1", resume_from_sequence=0, patience=0)
        with pytest.raises(ServiceUnavailableError):
            async with start as talk:
                async for _ in talk:
                    pass


async def test_a_session_that_somebody_else_took_is_not_taken_back(serve) -> None:
    gateway = Gateway(0)
    gateway.error = SessionBusyError()
    gateway.add("x")
    address = await serve("taken-gateway", gateway)
    async with EnsembleClient(address, api_key="k") as client:
        with pytest.raises(SessionBusyError):
            async with client.converse(session_id="ses_1", resume_from_sequence=0) as talk:
                async for _ in talk:
                    pass
    assert len(gateway.starts) == 1
