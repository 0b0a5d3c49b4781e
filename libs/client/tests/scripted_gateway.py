"""A gateway with a session of its own, on real TCP, and a link to it that breaks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from ensemble.core.errors import EnsembleError
from ensemble.testkit.scripted.peers import interceptors
from ensemble.transport.options import SERVER_OPTIONS
from ensemble.v1 import gateway_service_pb2, gateway_service_pb2_grpc, session_events_pb2

Event = session_events_pb2.ServerEvent
Client = session_events_pb2.ClientEvent
Response = gateway_service_pb2.ConverseResponse


class Session:
    """What outlives every stream: the record, and the input that was accepted."""

    def __init__(self) -> None:
        self.record: list[Event] = []
        self.accepted = session_events_pb2.InputAccepted()
        self.texts: list[str] = []
        self.news = asyncio.Event()

    def add(self, event: Event) -> None:
        event.sequence = len(self.record) + 1
        self.record.append(event)
        self.news.set()

    def say(self, text: str) -> None:
        event = Event()
        event.response_text_delta.text = text
        self.add(event)

    def take(self, text: session_events_pb2.InputText) -> None:
        """Answer a text that was not taken before."""
        if text.item <= self.accepted.text_items:
            return
        assert text.item == self.accepted.text_items + 1, "a text is missing"
        self.accepted.text_items = text.item
        self.texts.append(text.text)
        event = Event()
        event.input_committed.turn_id = f"turn_{text.item}"
        event.input_committed.text = text.text
        event.input_committed.accepted.CopyFrom(self.accepted)
        self.add(event)


class Gateway(gateway_service_pb2_grpc.GatewayServiceServicer):
    """One door to a session.

    Attributes:
        starts, got: What came, of all streams.
        first: Unsequenced events sent right after `started`, for each stream in turn.
        refuse: What the next streams end with before they start.
        end: What each stream ends with once everything was sent; None follows live.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.starts: list[session_events_pb2.SessionStart] = []
        self.got: list[Client] = []
        self.first: list[list[Event]] = []
        self.refuse: list[EnsembleError] = []
        self.end: EnsembleError | Callable[[Any], Any] | None = None

    def kinds(self) -> list[str]:
        return [kind for each in self.got if (kind := each.WhichOneof("event")) != "heartbeat"]

    async def Converse(self, request_iterator: Any, context: Any) -> AsyncIterator[Response]:
        requests = aiter(request_iterator)
        start = (await anext(requests)).event.start
        self.starts.append(start)
        if self.refuse:
            raise self.refuse.pop(0)
        started = Event()
        started.started.session.session_id = "ses_1"
        started.started.input.CopyFrom(self.session.accepted)
        yield Response(event=started)
        for event in self.first.pop(0) if self.first else []:
            yield Response(event=event)
        reading = asyncio.create_task(self._read(requests))
        after = start.resume_from_sequence
        try:
            while True:
                self.session.news.clear()
                for event in self.session.record[after:]:
                    after += 1
                    yield Response(event=event)
                if isinstance(self.end, EnsembleError):
                    raise self.end
                if self.end is not None:
                    await self.end(context)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self.session.news.wait()
                        continue
                yield Response(event=Event(heartbeat={}))
        finally:
            reading.cancel()

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            self.got.append(request.event)
            if request.event.WhichOneof("event") == "input_text":
                self.session.take(request.event.input_text)

    async def GetSession(self, request: Any, context: Any) -> Any:
        return gateway_service_pb2.GetSessionResponse(session={"session_id": request.session_id})

    async def ReplaySession(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for event in self.session.record[request.after_sequence :]:
            yield gateway_service_pb2.ReplaySessionResponse(event=event)
        if isinstance(self.end, EnsembleError):
            raise self.end


@contextlib.asynccontextmanager
async def serving(gateway: Gateway, credentials: Any = None) -> AsyncIterator[int]:
    """Serves it and yields the port."""
    server = grpc.aio.server(interceptors=interceptors("gateway"), options=SERVER_OPTIONS)
    gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(gateway, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


class BadLink:
    """Passes TCP on until a connection has carried so many bytes, then cuts it.

    Args:
        port: Where to.
        budgets: Bytes for each connection in turn, down and up together; the last for all
            that follow.
        down: Count what goes to the client; else what comes from it.
    """

    def __init__(self, port: int, budgets: list[int], *, down: bool) -> None:
        self._port = port
        self._budgets = budgets
        self._down = down
        self.cuts = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        budget = self._budgets.pop(0) if len(self._budgets) > 1 else self._budgets[0]
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        limits = (None, budget) if self._down else (budget, None)
        ways = [
            asyncio.create_task(self._pump(reader, outer, limits[0])),
            asyncio.create_task(self._pump(inner, writer, limits[1])),
        ]
        # Cancelled when the loop ends with the link still open.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, outer):
            end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                if budget is not None:
                    data, budget = data[:budget], budget - len(data)
                writer.write(data)
                await writer.drain()
                if budget is not None and budget <= 0:
                    self.cuts += 1
                    return
