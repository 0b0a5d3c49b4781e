"""The gateway through its door, with a scripted orchestrator behind it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from ensemble.client import EnsembleClient
from ensemble.core.errors import (
    DrainingError,
    EnsembleError,
    InvalidArgumentError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionNotFoundError,
    TooManyStreamsError,
    UnauthenticatedError,
)
from ensemble.gateway import app
from ensemble.gateway.settings import GatewaySettings
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.service import Service
from ensemble.testkit.ports import free_port
from ensemble.transport import context as call_context
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import (
    common_pb2,
    gateway_service_pb2,
    orchestrator_service_pb2,
    orchestrator_service_pb2_grpc,
    session_events_pb2,
    session_pb2,
    tool_server_service_pb2,
    tool_server_service_pb2_grpc,
)

pytestmark = pytest.mark.unit

Server = session_events_pb2.ServerEvent


class Orchestrator(orchestrator_service_pb2_grpc.OrchestratorServiceServicer, Service):
    """Echoes typed turns, and does as it is told by them."""

    name = "orchestrator"

    def __init__(self) -> None:
        self.principals: list[str] = []
        self.open = 0

    def add_to(self, server: Any) -> None:
        orchestrator_service_pb2_grpc.add_OrchestratorServiceServicer_to_server(self, server)

    async def RunSession(
        self,
        request_iterator: AsyncIterator[orchestrator_service_pb2.RunSessionRequest],
        context: Any,
    ) -> AsyncIterator[orchestrator_service_pb2.RunSessionResponse]:
        self.principals.append(call_context.trusted.get().get(call_context.PRINCIPAL_KEY, ""))
        self.open += 1
        try:
            async for request in request_iterator:
                kind = request.event.WhichOneof("event")
                if kind == "start":
                    started = Server()
                    started.started.session.session_id = "ses_1"
                    yield orchestrator_service_pb2.RunSessionResponse(event=started)
                elif kind == "input_text":
                    text = request.event.input_text.text
                    if text == "silence":
                        await asyncio.sleep(30)
                    if text == "fail":
                        raise SessionNotFoundError
                    for event in _answer(text):
                        yield orchestrator_service_pb2.RunSessionResponse(event=event)
        finally:
            self.open -= 1

    async def OpenSession(self, request: Any, context: Any) -> Any:
        return orchestrator_service_pb2.OpenSessionResponse(
            session=session_pb2.Session(session_id="ses_new", config=request.config)
        )

    async def DescribeSession(self, request: Any, context: Any) -> Any:
        raise SessionNotFoundError(metadata={"sessionId": request.session_id})

    async def FindSessions(self, request: Any, context: Any) -> Any:
        last = request.page_token == "more"
        return orchestrator_service_pb2.FindSessionsResponse(
            sessions=[session_pb2.Session(session_id="b" if last else "a")],
            next_page_token="" if last else "more",
        )

    async def ReadRecord(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if request.session_id == "ses_x":
            raise SessionNotFoundError
        for event in _answer("hello"):
            if event.sequence > request.after_sequence:
                yield orchestrator_service_pb2.ReadRecordResponse(event=event)
        while request.follow:
            if request.session_id != "ses_dead":
                beat = Server(heartbeat=common_pb2.Heartbeat())
                yield orchestrator_service_pb2.ReadRecordResponse(event=beat)
            await asyncio.sleep(0.1)

    async def AuditRecord(self, request: Any, context: Any) -> Any:
        audit = session_pb2.SessionAudit(
            session_id=request.session_id, intact=True, chain_head=b"head"
        )
        return orchestrator_service_pb2.AuditRecordResponse(audit=audit)

    async def EraseRecords(self, request: Any, context: Any) -> Any:
        return orchestrator_service_pb2.EraseRecordsResponse(
            sessions=1 if request.session_id else 7, events=9
        )


def _answer(text: str) -> list[Server]:
    committed = Server(sequence=1)
    committed.input_committed.turn_id = "turn"
    started = Server(sequence=2)
    started.response_started.response_id = "r"
    started.response_started.turn_id = "turn"
    call = Server(sequence=3)
    call.response_tool_call.response_id = "r"
    call.response_tool_call.call.call_id = "c"
    call.response_tool_call.call.name = "echo"
    call.response_tool_call.call.arguments_json = '{"n": 9007199254740993}'
    result = Server(sequence=4)
    result.response_tool_done.response_id = "r"
    result.response_tool_done.result.call_id = "c"
    result.response_tool_done.result.result_json = "[1]"
    delta = Server(sequence=5)
    delta.response_text_delta.response_id = "r"
    delta.response_text_delta.text = text
    done = Server(sequence=6)
    done.response_done.response_id = "r"
    done.response_done.outcome = common_pb2.OUTCOME_DECLINED
    done.response_done.usage.output_tokens = 3
    return [committed, started, call, result, delta, done]


class Tools(tool_server_service_pb2_grpc.ToolServerServiceServicer, Service):
    """Keeps something of everybody."""

    name = "tool-server"

    def __init__(self) -> None:
        self.erased: list[str] = []
        self.away = False

    def add_to(self, server: Any) -> None:
        tool_server_service_pb2_grpc.add_ToolServerServiceServicer_to_server(self, server)

    async def EraseData(self, request: Any, context: Any) -> Any:
        if self.away:
            raise ServiceUnavailableError
        self.erased.append(request.session_id)
        return tool_server_service_pb2.EraseDataResponse(things=3)


class Door:
    """A running gateway."""

    def __init__(self, host: Host, orchestrator: Orchestrator, tools: Tools, key: str) -> None:
        self.host = host
        self.tools = tools
        self.orchestrator = orchestrator
        self.key = key

    def client(self, key: str | None = None) -> EnsembleClient:
        (address,) = self.host.addresses_of("gateway")
        return EnsembleClient(address, api_key=self.key if key is None else key)


@pytest_asyncio.fixture
async def door(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    changes = getattr(request, "param", {})
    settings = GatewaySettings(api_key_file=tmp_path / "api-key", **changes)
    orchestrator, tools = Orchestrator(), Tools()
    async with Host(
        {
            "gateway": lambda peers: app.build(settings, peers),
            "orchestrator": lambda _: orchestrator,
            "tool-server": lambda _: tools,
        },
        RuntimeSettings(),
        listen={"gateway": ["127.0.0.1:0"]},
        # Nobody is there: at its default port an Ensemble of this machine might be.
        environ={"ENSEMBLE_STT_ADDRESS": f"127.0.0.1:{free_port()}"},
    ) as host:
        assert await host.settled() == {}
        yield Door(host, orchestrator, tools, (tmp_path / "api-key").read_text().strip())


async def test_a_question_is_carried_there_and_its_answer_back(door: Door) -> None:
    async with door.client() as client:
        answer = await client.ask("hello")
    assert answer.as_json() == {
        "session_id": "ses_1",
        "text": "hello",
        "tools": [{"name": "echo", "arguments": {"n": 9007199254740993}, "result": [1]}],
        "declined": True,
        "model": "",
        "usage": {"input_tokens": 0, "output_tokens": 3},
        "notices": [],
    }
    assert door.orchestrator.principals == ["local"]


async def test_sessions_are_made_found_and_listed(door: Door) -> None:
    async with door.client() as client:
        assert (await client.create_session()).session_id == "ses_new"
        assert [s.session_id for s in await client.list_sessions(limit=2)] == ["a", "b"]
        with pytest.raises(SessionNotFoundError):
            await client.get_session("ses_x")


async def test_a_record_is_replayed(door: Door) -> None:
    async with door.client() as client:
        events = [event.sequence async for event in client.replay_session("ses_1")]
        assert events == [1, 2, 3, 4, 5, 6]
        rest = [event.sequence async for event in client.replay_session("ses_1", after_sequence=4)]
        assert rest == [5, 6]
        with pytest.raises(SessionNotFoundError):
            await anext(client.replay_session("ses_x"))


@pytest.mark.parametrize("door", [{"peer_silence": 0.5}], indirect=True)
async def test_a_replay_that_follows_lasts_as_long_as_the_orchestrator(door: Door) -> None:
    async with door.client() as client:
        with pytest.raises(ServiceUnavailableError):
            async for _ in client.replay_session("ses_dead", follow=True):
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                async for _ in client.replay_session("ses_1", follow=True):
                    pass


async def test_a_replay_ends_when_the_gateway_leaves(door: Door) -> None:
    async with door.client() as client:
        record = client.replay_session("ses_1", follow=True)
        assert (await anext(record)).sequence == 1
        draining = asyncio.create_task(door.host.drain())
        with pytest.raises(ServiceUnavailableError) as caught:
            async for _ in record:
                pass
        assert caught.value.retryable
        await draining


async def test_a_record_is_verified_and_erased(door: Door) -> None:
    async with door.client() as client:
        audit = await client.verify_session("ses_1")
        assert (audit.session_id, audit.intact, audit.chain_head) == ("ses_1", True, b"head")
        one = await client.erase_sessions("ses_1")
        assert (one.sessions, one.things) == (1, 3)
        everything = await client.erase_sessions(every=True)
        assert (everything.sessions, everything.events, everything.things) == (7, 9, 3)
        assert door.tools.erased == ["ses_1", ""]
        for name, every in (("", False), ("ses_1", True)):
            with pytest.raises(InvalidArgumentError):
                await client.erase_sessions(name, every=every)


async def test_an_erasure_says_what_it_could_not_do(door: Door) -> None:
    door.tools.away = True
    async with door.client() as client:
        with pytest.raises(ServiceUnavailableError, match="nothing was erased"):
            await client.erase_sessions("ses_1")
        with pytest.raises(ServiceUnavailableError, match="only what was said"):
            await client.erase_sessions(every=True)
        door.tools.away = False
        assert (await client.erase_sessions(every=True)).things == 3


async def test_status_names_what_cannot_be_reached(door: Door) -> None:
    async with door.client() as client:
        rows = {row.name: row for row in await client.status()}
    assert rows["gateway"].state == "serving"
    assert rows["orchestrator"].state == "serving"
    assert rows["orchestrator"].transport == "inproc"
    assert rows["stt"].state == "unreachable"
    assert "127.0.0.1" not in rows["stt"].detail


async def test_a_stranger_is_refused_and_cannot_name_himself(door: Door) -> None:
    async with door.client(key="ens_wrong") as client:
        with pytest.raises(UnauthenticatedError):
            await client.ask("hello")
        with pytest.raises(UnauthenticatedError):
            await client.status()
    (address,) = door.host.addresses_of("gateway")
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/ensemble.v1.GatewayService/ListSessions")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", metadata=((call_context.PRINCIPAL_KEY, "root"),))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_error_of_the_orchestrator_reaches_the_client(door: Door) -> None:
    async with door.client() as client:
        with pytest.raises(SessionNotFoundError):
            await client.ask("fail")


@pytest.mark.parametrize("door", [{"peer_silence": 0.3}], indirect=True)
async def test_a_silent_orchestrator_is_given_up(door: Door) -> None:
    async with door.client() as client:
        with pytest.raises(ServiceUnavailableError) as caught:
            async with client.converse(patience=0) as conversation:
                await conversation.send_text("silence")
                async for _ in conversation:
                    pass
    assert caught.value.retryable


@pytest.mark.parametrize("door", [{"max_streams": 1}], indirect=True)
async def test_conversations_are_limited_and_freed(door: Door) -> None:
    async with door.client() as client:
        async with client.converse():
            with pytest.raises(TooManyStreamsError):
                await client.ask("hello")
        async with asyncio.timeout(5):
            while door.orchestrator.open:
                await asyncio.sleep(0.01)
        assert (await client.ask("hello")).text == "hello"


@pytest.mark.parametrize("door", [{"requests_per_second": 0.001, "burst": 2}], indirect=True)
async def test_a_caller_who_asks_too_much_is_told_when_to_come_back(door: Door) -> None:
    async with door.client() as client:
        await client.list_sessions(limit=2)
        with pytest.raises(RateLimitedError) as caught:
            await client.list_sessions(limit=2)
    assert caught.value.retry_after is not None


async def test_open_conversations_are_told_when_the_gateway_leaves(door: Door) -> None:
    async with door.client() as client, client.converse() as conversation:
        draining = asyncio.create_task(door.host.drain())
        await asyncio.sleep(0.05)
        await conversation.send_text("still here?")
        kinds = []
        try:
            async for event in conversation:
                kinds.append(event.WhichOneof("event"))
                if kinds[-1] == "response_done":
                    break
        except EnsembleError as error:
            assert error.retryable
        assert "going_away" in kinds
        await conversation.finish()
        await draining
    async with door.client() as client:
        with pytest.raises((DrainingError, ServiceUnavailableError)):
            await client.ask("hello")


@pytest.mark.parametrize("broken", [b"\x0a\x06\x5a\x04\x12\x02\xc3\x28", b"\x0a\x00" + b"\xff"])
async def test_a_message_that_cannot_be_read_is_named(door: Door, broken: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _send(door, broken)
    assert from_rpc_error(caught.value).code in ("INVALID_ARGUMENT", "INTERNAL")


async def test_a_message_outside_the_contract_is_refused_by_name(door: Door) -> None:
    wrong = gateway_service_pb2.ConverseRequest()
    wrong.event.start.session_id = "x" * 65
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _send(door, wrong.SerializeToString())
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert "event.start.session_id" in error.violations


async def _send(door: Door, message: bytes) -> None:
    (address,) = door.host.addresses_of("gateway")
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream("/ensemble.v1.GatewayService/Converse")(
            iter([message]), metadata=(("authorization", f"Bearer {door.key}"),), timeout=10
        )
        async for _ in call:
            pass
