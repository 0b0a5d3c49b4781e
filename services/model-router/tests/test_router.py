"""Which model answers, and which one goes on when it fails."""

from decimal import Decimal

import pytest

from ensemble.core.errors import (
    ContextTooLongError,
    EngineFailedError,
    InvalidArgumentError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from ensemble.model_router.circuit import Circuit
from ensemble.model_router.domain import (
    Cost,
    Finished,
    Settled,
    Started,
    StopReason,
    Substituted,
    TextDelta,
    TokenUsage,
    ToolCall,
    ToolCallDelta,
)
from ensemble.model_router.ports import Condition, State
from ensemble.model_router.pricing import Price
from ensemble.model_router.router import Route, Router

pytestmark = pytest.mark.unit

DONE = Finished(StopReason.COMPLETED, TokenUsage(10, 3))


def router(*models):
    routes = [m if isinstance(m, Route) else Route(m) for m in models]
    return Router(lambda: routes, start_wait=0.05)


async def answer(of, call):
    return [event async for event in of.chat(call)]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_the_first_model_answers(scripted, said):
    a, b = scripted("a", TextDelta("hi", 1), DONE), scripted("b", DONE)
    events = await answer(router(a, b), said("hello"))
    assert events == [
        Started("a", "scripted"),
        TextDelta("hi", 1),
        Settled(StopReason.COMPLETED, TokenUsage(10, 3), False, "a"),
    ]
    assert not b.calls


async def test_a_named_model_answers_and_an_unknown_name_is_an_error(scripted, said):
    of = router(scripted("a", DONE), scripted("b", DONE))
    assert (await answer(of, said("hello", model="b")))[0] == Started("b", "scripted")
    with pytest.raises(ModelNotFoundError):
        await answer(of, said("hello", model="c"))


async def test_tools_go_to_a_model_that_can_use_them(scripted, said, tool):
    chat, tools = scripted("chat", DONE), scripted("tools", DONE)
    of = router(Route(chat), Route(tools, capabilities=frozenset({"tools"})))
    assert (await answer(of, said("x", tools=(tool("now", {}),))))[0].model == "tools"
    assert (await answer(of, said("x")))[0].model == "chat"


async def test_failing_before_the_first_token_the_next_model_takes_over(scripted, said):
    error = EngineFailedError("boom")
    a, b = scripted("a", error), scripted("b", TextDelta("hi", 1), DONE)
    events = await answer(router(a, b), said("hello"))
    assert events[:2] == [Started("a", "scripted"), Substituted("a", "b", error)]
    assert text_of(events) == "hi"


async def test_what_one_model_began_to_say_no_other_one_finishes(scripted, said):
    error = EngineFailedError("boom")
    cannot = scripted("a", TextDelta("The", 1), error, can_continue=False)
    b = scripted("b", TextDelta(" end", 1), DONE)
    events = await answer(router(cannot, b), said("hello"))
    assert text_of(events) == "The"
    assert events[-1] == Settled(StopReason.INTERRUPTED, TokenUsage(0, 1), False, "")
    # One that can go on is asked to by the caller, once it is back.
    can = scripted("a", TextDelta("The", 1), error)
    with pytest.raises(EngineFailedError, match="boom"):
        await answer(router(can, b), said("hello"))
    assert not b.calls


async def test_a_model_goes_on_behind_its_own_text(scripted, said):
    first, b = scripted("a", TextDelta("no", 1), DONE), scripted("b", TextDelta(" is on.", 3), DONE)
    call = said("hello", committed_text="The lamp", committed_model="b")
    events = await answer(router(first, b), call)
    assert events[0] == Started("b", "scripted")
    assert text_of(events) == " is on."
    assert b.calls[0].committed_text == "The lamp"
    assert not first.calls
    # Whose words they are is not known: whoever can goes on.
    cannot = scripted("c", TextDelta("no", 1), DONE, can_continue=False)
    events = await answer(router(cannot, b), said("hello", committed_text="The lamp"))
    assert events[0] == Started("b", "scripted")


@pytest.mark.parametrize("writer", ["cannot", "gone"])
async def test_committed_text_whose_model_cannot_go_on_is_interrupted(scripted, said, writer):
    models = (
        scripted("cannot", TextDelta("x", 1), DONE, can_continue=False),
        scripted("small", TextDelta("y", 1), DONE),
    )
    call = said("hello", committed_text="so far", committed_model=writer)
    events = await answer(router(*models), call)
    assert [type(event) for event in events] == [Settled]
    assert events[0].stop is StopReason.INTERRUPTED
    assert not any(model.calls for model in models)


async def test_a_model_that_is_starting_is_waited_for_to_finish_what_it_said(scripted, said):
    big, small = scripted("big", TextDelta(" on", 1), DONE), scripted("small", DONE)
    big.state = Condition(State.STARTING)
    call = said("hello", committed_text="so far", committed_model="big")
    events = await answer(router(big, small), call)
    assert (events[0], text_of(events)) == (Started("big", "scripted"), " on")

    async def not_yet(timeout):
        return False

    big.state, big.ready = Condition(State.STARTING, "It is being loaded."), not_yet
    assert (await answer(router(big, small), call))[-1].stop is StopReason.INTERRUPTED
    # Where nobody could begin anew, the caller is to ask again.
    with pytest.raises(ModelUnavailableError, match="being loaded"):
        await answer(router(big), call)
    assert not small.calls


async def test_a_model_that_fails_again_behind_its_text_gives_way_to_a_new_beginning(
    scripted, said
):
    call = said("hello", committed_text="so far", committed_model="big")
    big, small = scripted("big", EngineFailedError("boom")), scripted("small", DONE)
    assert (await answer(router(big, small), call))[-1].stop is StopReason.INTERRUPTED
    with pytest.raises(EngineFailedError, match="boom"):
        await answer(router(big), call)


async def test_the_last_failure_is_raised_when_no_model_is_left(scripted, said):
    a, b = scripted("a", EngineFailedError("one")), scripted("b", EngineFailedError("two"))
    with pytest.raises(EngineFailedError, match="two"):
        await answer(router(a, b), said("hello"))


async def test_a_refused_request_is_passed_on_and_opens_no_circuit(scripted, said):
    route = Route(scripted("a", InvalidArgumentError("no")))
    with pytest.raises(InvalidArgumentError):
        await answer(router(route), said("hello"))
    assert route.circuit.remaining == 0


async def test_a_longer_context_is_tried_when_one_is_too_short(scripted, said):
    a, b = scripted("a", ContextTooLongError()), scripted("b", DONE)
    routes = Route(a), Route(b)
    assert (await answer(router(*routes), said("hello")))[-1].model == "b"
    assert routes[0].circuit.remaining == 0


async def test_once_a_tool_call_is_out_no_other_model_asks_again(scripted, said):
    call = ToolCall("c1", "now", "{}")
    a = scripted("a", ToolCallDelta("c1", "now", "{}"), call, EngineFailedError())
    b = scripted("b", DONE)
    events = await answer(router(a, b), said("hello"))
    assert events[-1].stop is StopReason.TOOL_CALLS
    assert events.count(call) == 1
    assert not b.calls


async def test_without_a_model_the_call_fails_at_once_and_says_why(scripted, said):
    model = scripted("a", DONE)
    model.state = Condition(State.UNAVAILABLE, "The file is missing.")
    with pytest.raises(ModelUnavailableError, match=r"missing.*LLM_URL"):
        await answer(router(model), said("hello"))
    with pytest.raises(ModelUnavailableError, match="No language model"):
        await answer(router(), said("hello"))


async def test_a_starting_model_is_waited_for_only_when_no_other_is_ready(scripted, said):
    starting, ready = scripted("starting", DONE), scripted("ready", DONE)
    starting.state = Condition(State.STARTING)
    assert (await answer(router(starting, ready), said("x")))[-1].model == "ready"
    assert (await answer(router(starting), said("x")))[-1].model == "starting"


async def test_a_model_that_failed_lately_is_tried_last(scripted, said):
    flaky, steady = scripted("flaky", EngineFailedError()), scripted("steady", DONE)
    of = router(flaky, steady)
    await answer(of, said("x"))
    events = await answer(of, said("x"))
    assert events[0] == Started("steady", "scripted")
    assert len(flaky.calls) == 1


async def test_a_lone_model_is_tried_again_although_it_failed(scripted, said):
    model = scripted("a", EngineFailedError())
    of = router(model)
    for _ in range(3):
        with pytest.raises(EngineFailedError):
            await answer(of, said("x"))
    assert len(model.calls) == 3


async def test_the_named_models_own_fallbacks_are_used(scripted, said):
    routes = [
        Route(scripted("a", EngineFailedError()), fallback=("c",)),
        Route(scripted("b", DONE)),
        Route(scripted("c", DONE)),
    ]
    assert (await answer(router(*routes), said("x", model="a")))[-1].model == "c"
    routes[0] = Route(scripted("a", EngineFailedError()), fallback=())
    with pytest.raises(EngineFailedError):
        await answer(router(*routes), said("x", model="a"))


async def test_each_model_is_paid_for_what_it_did(scripted, said):
    price = Price("EUR", Decimal("1"), Decimal("2"))
    model = scripted("a", TextDelta("x", 4), EngineFailedError(), can_continue=False)
    events = await answer(router(Route(model, price=price)), said("hello"))
    assert (events[-1].usage, events[-1].cost) == (TokenUsage(0, 4), Cost("EUR", 8_000))
    asked = Route(scripted("a", ContextTooLongError()), price=price)
    events = await answer(router(asked, Route(scripted("b", DONE), price=price)), said("hello"))
    assert events[-1].cost == Cost("EUR", 16_000)


def test_a_price_is_rounded_up_once_a_call():
    price = Price("USD", Decimal("0.0005"), Decimal("0.0001"))
    assert price.cost_of(TokenUsage(1, 1)) == Cost("USD", 1)
    assert price.cost_of(TokenUsage(10, 0)) == Cost("USD", 5)
    assert Price().cost_of(TokenUsage(10, 10)) is None


async def test_the_same_work_is_not_done_twice(scripted, said):
    model = scripted("a", TextDelta("The lamp is on.", 4), DONE)
    of = router(model)
    first = await answer(of, said("hello", idempotency_key="k"))
    again = await answer(of, said("hello", idempotency_key="k"))
    rest = await answer(of, said("hello", idempotency_key="k", committed_text="The lamp"))
    assert (text_of(first), text_of(again), text_of(rest)) == (
        "The lamp is on.", "The lamp is on.", " is on.",
    )  # fmt: skip
    assert again[-1] == first[-1]
    assert again[0] == first[0]
    assert len(model.calls) == 1
    await answer(of, said("another question", idempotency_key="k"))
    await answer(of, said("hello", idempotency_key="k", speculative=True))
    await answer(of, said("hello"))
    assert len(model.calls) == 4


def test_a_circuit_stays_open_longer_each_time_and_closes_on_an_answer():
    now = [0.0]
    circuit = Circuit(lambda: now[0])
    waits = []
    for _ in range(9):
        circuit.failed()
        waits.append(circuit.remaining)
        now[0] += circuit.remaining
        assert circuit.remaining == 0
    assert waits[:4] == [0.5, 1, 2, 4]
    assert max(waits) == 30
    circuit.failed()
    circuit.answered()
    assert circuit.remaining == 0
