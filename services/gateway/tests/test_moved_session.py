"""A session that another orchestrator holds: the gateway goes there, and nothing is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from ensemble.client import EnsembleClient
from ensemble.core.errors import ServiceUnavailableError, SessionMovedError
from ensemble.gateway import app
from ensemble.gateway.settings import GatewaySettings
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.transport.status import to_status
from ensemble.v1 import (
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
    session_pb2,
)

pytestmark = pytest.mark.unit

Server = session_events_pb2.ServerEvent


class One(orchestrator_service_pb2_grpc.OrchestratorServiceServicer):
    """One of several orchestrators. It says where sessions are, or repeats what is typed."""

    def __init__(self) -> None:
        self.owner = ""
        self.frozen = False
        self.asked = 0
        self.erased = 0
        self.elsewhere: list[str] = []

    async def __aenter__(self) -> str:
        self._server = grpc.aio.server()
        orchestrator_service_pb2_grpc.add_OrchestratorServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def __aexit__(self, *_: Any) -> None:
        await self._server.stop(0)

    async def _refuse(self, context: Any) -> None:
        self.asked += 1
        if self.owner:
            moved = to_status(SessionMovedError(metadata={"owner": self.owner}))
            await context.abort(
                grpc.StatusCode.UNAVAILABLE,
                moved.message,
                (("grpc-status-details-bin", moved.SerializeToString()),),
            )

    async def RunSession(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        while self.frozen:
            await asyncio.sleep(0.1)
        first = await anext(aiter(request_iterator))
        assert first.event.WhichOneof("event") == "start"
        beat = Server()
        beat.heartbeat.SetInParent()
        yield orchestrator_service_pb2.RunSessionResponse(event=beat)
        # Long enough for more of the client's events to be on their way.
        await asyncio.sleep(0.1)
        await self._refuse(context)
        started = Server()
        started.started.session.session_id = "ses_1"
        yield orchestrator_service_pb2.RunSessionResponse(event=started)
        async for request in request_iterator:
            if request.event.WhichOneof("event") == "input_text":
                said = Server()
                said.response_text_delta.text = request.event.input_text.text
                yield orchestrator_service_pb2.RunSessionResponse(event=said)

    async def OpenSession(self, request: Any, context: Any) -> Any:
        await self._refuse(context)
        session = session_pb2.Session(session_id="ses_1")
        return orchestrator_service_pb2.OpenSessionResponse(session=session)

    async def EraseRecords(self, request: Any, context: Any) -> Any:
        self.erased += 1
        return orchestrator_service_pb2.EraseRecordsResponse(
            sessions=2, events=3, elsewhere=self.elsewhere
        )


@contextlib.asynccontextmanager
async def gateway(address: str, folder: Path) -> AsyncIterator[EnsembleClient]:
    """Give a client of a gateway whose orchestrators are at ``address``."""
    settings = GatewaySettings(api_key_file=folder / "api-key")
    environ = {"ENSEMBLE_ORCHESTRATOR_ADDRESS": address}
    host = Host(
        {"gateway": lambda channels: app.build(settings, channels)},
        RuntimeSettings(),
        listen={"gateway": ("127.0.0.1:0",)},
        environ=environ,
    )
    async with host:
        assert await host.settled() == {}
        (door,) = host.addresses_of("gateway")
        key = settings.api_key_file.read_text().split()[0]
        async with EnsembleClient(door, api_key=key) as made:
            yield made


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[tuple[One, One, EnsembleClient]]:
    one, other = One(), One()
    async with one as first, other as second, gateway(first, tmp_path) as made:
        one.owner = second
        yield one, other, made


async def test_the_stream_goes_where_the_session_is(client: Any) -> None:
    one, other, made = client
    async with made.converse(session_id="ses_1") as conversation:
        for word in ("nothing", "is", "lost"):
            await conversation.send_text(word)
        await conversation.finish()
        heard = [event.response_text_delta.text async for event in conversation]
    assert heard == ["nothing", "is", "lost"]
    assert (one.asked, other.asked) == (1, 1)


async def test_an_unary_call_goes_there_too(client: Any) -> None:
    one, other, made = client
    session = await made.create_session()
    assert session.session_id == "ses_1"
    assert (one.asked, other.asked) == (1, 1)


async def test_two_that_send_to_each_other_end_in_an_error(client: Any, tmp_path: Path) -> None:
    one, other, made = client
    other.owner = one.owner
    with pytest.raises(SessionMovedError):
        await made.create_session()
    assert other.asked == 1


async def test_erasing_everything_asks_each_that_holds_some(client: Any) -> None:
    one, other, made = client
    one.elsewhere = [one.owner]
    # What tools keep goes last, and there is no tool server here.
    with pytest.raises(ServiceUnavailableError):
        await made.erase_sessions(every=True)
    assert (one.erased, other.erased) == (1, 1)


async def test_one_that_does_not_answer_is_passed_over(tmp_path: Path) -> None:
    frozen, other = One(), One()
    frozen.frozen = True
    async with (
        frozen as first,
        other as second,
        gateway(f"ipv4:{first},{second}", tmp_path) as made,
    ):
        for count in range(4):
            async with made.converse(patience=0) as conversation:
                await conversation.send_text("hello")
                await conversation.finish()
                assert [e.response_text_delta.text async for e in conversation] == ["hello"]
            assert other.asked == count + 1
        frozen.frozen = False
