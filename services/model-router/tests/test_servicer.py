"""The Chat stream as its callers see it."""

import asyncio
import time

import grpc
import pytest

from ensemble.core.errors import (
    DrainingError,
    EngineFailedError,
    InvalidArgumentError,
    UnexpectedMessageError,
    WrongFirstMessageError,
)
from ensemble.model_router.domain import (
    Finished,
    StopReason,
    TextDelta,
    TokenUsage,
    ToolCall,
    ToolCallDelta,
)
from ensemble.model_router.ports import Condition, State
from ensemble.model_router.pricing import Price
from ensemble.model_router.router import Route, Router
from ensemble.model_router.servicer import ModelRouterServicer
from ensemble.transport.status import from_rpc_error, from_status
from ensemble.v1 import common_pb2
from ensemble.v1 import model_router_service_pb2 as pb

pytestmark = pytest.mark.contract

DONE = Finished(StopReason.COMPLETED, TokenUsage(10, 3, 4))


def start(text="hello", **fields):
    return pb.ChatStart(messages=[pb.ChatMessage(role=pb.ROLE_USER, text=text)], **fields)


class Conversation:
    """One open call: what is sent, and what comes apart from heartbeats."""

    def __init__(self, stub, first):
        self._requests = asyncio.Queue()
        self.send(first)
        self.call = stub.Chat(self._all())
        self._responses = aiter(self.call)

    def send(self, request):
        self._requests.put_nowait(request)

    async def until(self, kind):
        while (response := await anext(self._responses)).WhichOneof("event") != kind:
            pass
        return response

    async def rest(self):
        return [r async for r in self._responses if r.WhichOneof("event") != "heartbeat"]

    async def _all(self):
        while True:
            yield await self._requests.get()


def kinds(responses):
    return [response.WhichOneof("event") for response in responses]


async def test_an_answer_with_text_and_a_tool_call(serve, ask, scripted):
    model = scripted(
        "m", TextDelta("Let me", 2), TextDelta(" see.", 2), ToolCallDelta("c1", "now", "{}"),
        ToolCall("c1", "now", "{}"), Finished(StopReason.TOOL_CALLS, TokenUsage(10, 9, 4)),
    )  # fmt: skip
    responses = await ask(await serve([model]), start())
    assert kinds(responses)[0] == "started"
    assert kinds(responses)[-4:] == ["tool_call_delta", "tool_call_done", "text_done", "done"]
    assert responses[-2].text_done.text == "Let me see."
    assert sum(r.text_delta.token_count for r in responses) == 4
    assert [r.sequence for r in responses] == list(range(1, len(responses) + 1))
    assert {r.caused_by_event_id for r in responses} == {"the-start"}
    assert len({r.event_id for r in responses}) == len(responses)
    done = responses[-1].done
    assert done.stop_reason == common_pb2.STOP_REASON_TOOL_CALLS
    assert (done.usage.input_tokens, done.usage.output_tokens) == (10, 9)
    assert done.usage.cached_input_tokens == 4
    assert not done.usage.HasField("cost")


async def test_outcomes_are_typed(serve, ask, scripted):
    declined = scripted(
        "m", TextDelta("No.", 1), Finished(StopReason.COMPLETED, TokenUsage(), True)
    )
    responses = await ask(await serve([declined]), start())
    assert responses[-1].done.outcome == common_pb2.OUTCOME_DECLINED
    responses = await ask(await serve([scripted("m", TextDelta("Yes.", 1), DONE)]), start())
    assert responses[-1].done.outcome == common_pb2.OUTCOME_ANSWERED


async def test_a_substitution_is_told_with_its_reason(serve, ask, scripted):
    models = [scripted("a", EngineFailedError("boom")), scripted("b", TextDelta("x", 1), DONE)]
    responses = await ask(await serve(models), start())
    assert kinds(responses)[:2] == ["started", "substituted"]
    told = responses[1].substituted
    assert (told.from_model, told.to_model) == ("a", "b")
    assert isinstance(from_status(told.reason), EngineFailedError)


async def test_the_failure_of_every_model_ends_the_call_with_a_status(serve, ask, scripted):
    stub = await serve([scripted("a", EngineFailedError("boom"))])
    with pytest.raises(grpc.RpcError) as raised:
        await ask(stub, start())
    error = from_rpc_error(raised.value)
    assert isinstance(error, EngineFailedError)
    assert error.retryable


async def test_the_cost_is_an_amount_of_money(serve, ask, scripted):
    from decimal import Decimal

    price = Price("USD", Decimal("150000"), Decimal("0"))
    route = Route(scripted("m", TextDelta("x", 1), DONE), price=price)
    cost = (await ask(await serve([route]), start()))[-1].done.usage.cost
    assert (cost.currency_code, cost.units, cost.nanos) == ("USD", 1, 500_000_000)


@pytest.mark.parametrize("first", [pb.ChatRequest(), pb.ChatRequest(cancel={})])
async def test_the_first_message_must_be_the_start(serve, scripted, first):
    stub = await serve([scripted("m", DONE)])

    async def requests():
        yield first

    with pytest.raises(grpc.RpcError) as raised:
        await anext(aiter(stub.Chat(requests())))
    assert isinstance(from_rpc_error(raised.value), WrongFirstMessageError)


async def test_a_second_start_ends_the_call(serve, ask, scripted):
    stub = await serve([scripted("m", 5.0, DONE)])
    with pytest.raises(grpc.RpcError) as raised:
        await ask(stub, start(), pb.ChatRequest(start=start()))
    assert isinstance(from_rpc_error(raised.value), UnexpectedMessageError)


async def test_a_cancel_in_band_ends_with_done_and_usage(serve, scripted):
    model = scripted(
        "m", TextDelta("one", 1), 20.0, Finished(StopReason.CANCELLED, TokenUsage(5, 1))
    )
    talk = Conversation(await serve([model]), pb.ChatRequest(start=start(), event_id="s"))
    await talk.until("text_delta")
    talk.send(pb.ChatRequest(cancel={}, event_id="c"))
    rest = await talk.rest()
    assert kinds(rest) == ["text_done", "done"]
    assert rest[-1].done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert rest[-1].done.usage.output_tokens == 1
    assert rest[-1].caused_by_event_id == "c"


async def test_credit_is_kept_and_deltas_that_wait_become_one(serve, scripted):
    model = scripted(
        "m", TextDelta("first ", 1), 0.3, *(TextDelta(f"{n} ", 1) for n in range(20)), DONE
    )
    talk = Conversation(await serve([model]), pb.ChatRequest(start=start(initial_credit=1)))
    assert (await talk.until("text_delta")).text_delta.text == "first "
    for _ in range(4):
        await talk.until("heartbeat")
    talk.send(pb.ChatRequest(credit={"events": 1}))
    rest = await talk.rest()
    assert kinds(rest) == ["text_delta", "text_done", "done"]
    assert rest[0].text_delta.text == "".join(f"{n} " for n in range(20))
    assert rest[0].text_delta.token_count == 20
    assert rest[1].text_done.text == "first " + rest[0].text_delta.text


async def test_a_cancel_without_credit_still_ends_the_call(serve, scripted):
    model = scripted("m", TextDelta("first", 1), 0.3, TextDelta("second", 1), DONE)
    talk = Conversation(await serve([model]), pb.ChatRequest(start=start(initial_credit=1)))
    await talk.until("text_delta")
    for _ in range(3):
        await talk.until("heartbeat")
    talk.send(pb.ChatRequest(cancel={}))
    rest = await talk.rest()
    assert kinds(rest) == ["text_done", "done"]
    assert rest[0].text_done.text == "first"


async def test_heartbeats_come_while_the_model_thinks(serve, scripted):
    stub = await serve([scripted("m", 1.0, DONE)])

    async def requests():
        yield pb.ChatRequest(start=start())

    responses = [r async for r in stub.Chat(requests())]
    beats = [r for r in responses if r.WhichOneof("event") == "heartbeat"]
    assert len(beats) >= 2
    assert all(beat.sequence == 0 and beat.heartbeat.HasField("sent_at") for beat in beats)


async def test_a_caller_that_vanishes_stops_the_model(serve, scripted):
    model = scripted("m", TextDelta("one", 1), 60.0, DONE)
    left = asyncio.Event()
    chat = model.chat

    async def watched(call):
        try:
            async for event in chat(call):
                yield event
        finally:
            left.set()

    model.chat = watched
    stub = await serve([model])
    talk = Conversation(stub, pb.ChatRequest(start=start()))
    await talk.until("text_delta")
    talk.call.cancel()
    begun = time.monotonic()
    await asyncio.wait_for(left.wait(), 10)
    assert time.monotonic() - begun < 5


async def test_while_draining_new_chats_are_refused(scripted):
    servicer = ModelRouterServicer(Router(lambda: [Route(scripted("m", DONE))]))
    servicer.drain()

    async def requests():
        yield pb.ChatRequest(start=start())

    with pytest.raises(DrainingError):
        await anext(servicer.Chat(requests(), None))


async def test_models_are_listed_page_by_page(serve, scripted):
    models = [scripted(f"m{n}", DONE) for n in range(5)]
    models[1].state = Condition(State.UNAVAILABLE, "The file is missing.")
    stub = await serve([Route(m, capabilities=frozenset({"tools"})) for m in models])
    names, token = [], ""
    while True:
        page = await stub.ListModels(pb.ListModelsRequest(page_size=2, page_token=token))
        names += [model.name for model in page.models]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"m{n}" for n in range(5)]
    everything = (await stub.ListModels(pb.ListModelsRequest())).models
    assert [model.available for model in everything] == [True, False, True, True, True]
    assert everything[1].unavailable_reason == "The file is missing."
    assert everything[0].capabilities == ["tools"]
    with pytest.raises(grpc.RpcError) as raised:
        await stub.ListModels(pb.ListModelsRequest(page_token="x"))
    assert isinstance(from_rpc_error(raised.value), InvalidArgumentError)


async def test_a_trace_tells_what_was_used_and_nothing_of_what_was_said(
    serve, ask, scripted, monkeypatch
):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("ensemble.model_router.tracing._tracer", provider.get_tracer("test"))
    monkeypatch.setattr("ensemble.model_router.tracing.tracing_is_on", lambda: True)
    await ask(await serve([scripted("m", TextDelta("secret", 1), DONE)]), start("secret"))
    (span,) = exporter.get_finished_spans()
    assert span.name == "chat m"
    assert span.attributes["gen_ai.usage.output_tokens"] == 3
    assert span.attributes["gen_ai.usage.input_tokens"] == 10
    assert "secret" not in span.to_json()
