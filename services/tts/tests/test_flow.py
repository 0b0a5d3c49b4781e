"""Who waits for whom: credit, cancellation, slow takers, several calls, vanished callers."""

import asyncio
import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from ensemble.testkit.fixtures.scripted_synthesizer import ScriptedSynthesizer
from ensemble.testkit.fixtures.stream_caller import PATIENCE
from ensemble.testkit.fixtures.synthesis_caller import Serve, frames, kinds, samples
from ensemble.transport.status import from_rpc_error
from ensemble.v1 import common_pb2, tts_service_pb2

pytestmark = pytest.mark.contract

SENTENCE = "Nothing is lost and nothing doubled. "


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds up the engine while it is not set."""
    event = threading.Event()
    yield event
    event.set()


async def until(condition: object) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_frames_count_against_the_credit(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    caller = served.caller(initial_credit=3)
    await caller.open()
    await caller.text("Hello there, you.")
    await caller.input_end()
    assert kinds([await caller.read() for _ in range(3)]) == ["audio"] * 3
    starved = await caller.read(heartbeats=True)
    assert starved.WhichOneof("event") == "heartbeat"
    await caller.credit(2)
    assert kinds([await caller.read() for _ in range(2)]) == ["audio"] * 2
    await caller.credit(1000)
    responses = await caller.rest()
    assert kinds(responses) == ["audio"] * 12 + ["clause_done", "done"]


async def test_a_cancel_ends_the_speech_within_a_frame(serve: Serve) -> None:
    engine = ScriptedSynthesizer()
    served = await serve(engine)
    caller = served.caller(initial_credit=10)
    await caller.open()
    await caller.text(SENTENCE * 50)
    for _ in range(10):
        assert (await caller.read()).WhichOneof("event") == "audio"
    await caller.cancel("stop-it")
    responses = await caller.rest()

    assert kinds(responses) == ["done"]
    done = responses[-1]
    assert done.caused_by_event_id == "stop-it"
    assert done.done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert done.done.samples_sent == 10 * 320
    assert done.done.usage.audio_output.ToMilliseconds() == 200


async def test_a_cancel_stops_the_engine_in_the_middle_of_a_clause(
    serve: Serve, gate: threading.Event
) -> None:
    engine = ScriptedSynthesizer(gate=gate)
    served = await serve(engine)
    caller = served.caller()
    await caller.open()
    await caller.text(SENTENCE)
    await until(lambda: engine.texts)
    await caller.cancel()
    assert kinds(await caller.rest()) == ["done"]
    gate.set()
    # The engine is free for the next call, and was stopped at its next chunk.
    assert samples(await served.caller().say("Hi.")).size
    assert engine.chunks <= 2 + len("Hi.")


async def test_a_cancel_without_credit_is_heard(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.text(SENTENCE)
    await caller.read()
    await caller.cancel()
    assert kinds(await caller.rest()) == ["done"]


async def test_a_slow_taker_holds_back_the_engine(serve: Serve) -> None:
    engine = ScriptedSynthesizer()
    served = await serve(engine)
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.text(SENTENCE * 200)
    await caller.read()
    await until(lambda: engine.chunks >= 25)
    await asyncio.sleep(0.1)
    # A clause, and at most one more: no clause is begun while half a second waits.
    assert engine.chunks <= 2 * len(SENTENCE) + 1
    await caller.cancel()
    await caller.rest()


async def test_a_megabyte_of_text_is_taken_at_once_and_spoken_bit_by_bit(serve: Serve) -> None:
    engine = ScriptedSynthesizer()
    served = await serve(engine)
    caller = served.caller(initial_credit=5)
    await caller.open()
    piece = (SENTENCE * 2000)[:60_000]
    for _ in range(17):
        await caller.text(piece)
    await caller.input_end()
    assert kinds([await caller.read() for _ in range(5)]) == ["audio"] * 5
    await caller.cancel()
    responses = await caller.rest()
    assert kinds(responses) == ["done"]
    assert sum(map(len, engine.texts)) < 200


async def test_text_beyond_what_may_wait_holds_back_the_caller_and_is_all_spoken(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.tts.synthesis.MAX_PENDING_TEXT", 100)
    served = await serve(ScriptedSynthesizer())
    caller = served.caller()
    await caller.open()

    async def feed() -> None:
        for _ in range(30):
            await caller.text(SENTENCE)
        await caller.input_end()

    feeding = asyncio.create_task(feed())
    responses = await caller.rest()
    await feeding
    spans = [r.clause_done.span for r in responses if r.HasField("clause_done")]
    assert spans[-1].end == 30 * len(SENTENCE)


async def test_calls_take_turns_clause_by_clause(serve: Serve, gate: threading.Event) -> None:
    engine = ScriptedSynthesizer(gate=gate)
    served = await serve(engine)
    callers = [served.caller() for _ in range(2)]
    for name, caller in zip("ab", callers, strict=True):
        await caller.open()
        await caller.text(f"{name * 10}. " * 2)
        await caller.input_end()
        if name == "a":
            await until(lambda: engine.texts)
    await asyncio.sleep(0.1)
    gate.set()
    await asyncio.gather(*(caller.rest() for caller in callers))
    assert [text.strip()[0] for text in engine.texts if text.strip()] == ["a", "b", "a", "b"]


async def test_a_taker_that_stops_taking_does_not_hold_up_others(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    stuck = served.caller(initial_credit=1)
    await stuck.open()
    await stuck.text(SENTENCE * 100)
    await stuck.read()
    assert samples(await served.caller().say(SENTENCE)).size
    await stuck.cancel()
    await stuck.rest()


async def test_a_caller_that_leaves_frees_the_engine(serve: Serve, gate: threading.Event) -> None:
    engine = ScriptedSynthesizer(gate=gate)
    served = await serve(engine, max_streams=1)
    caller = served.caller()
    await caller.open()
    await caller.text(SENTENCE)
    await until(lambda: engine.texts)
    caller.call.cancel()
    gate.set()

    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert samples(await served.caller().say("Hi.")).size
                break
            except grpc.aio.AioRpcError as error:
                assert from_rpc_error(error).reason == "TOO_MANY_STREAMS"
                await asyncio.sleep(0.02)


async def test_a_caller_whose_heartbeats_stop_is_given_up(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    caller = served.caller()
    await caller.open()
    await caller.send(heartbeat=common_pb2.Heartbeat())
    begun = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while True:
            await caller.read()
    assert from_rpc_error(caught.value).reason == "PEER_LOST"
    assert time.monotonic() - begun > 0.5


async def test_the_next_clause_is_made_while_this_one_plays(serve: Serve) -> None:
    engine = ScriptedSynthesizer()
    served = await serve(engine)
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.text("Ten chars. Then another. ")
    await caller.read()
    await until(lambda: len(engine.texts) == 2)
    await caller.cancel()
    await caller.rest()


async def test_a_heartbeat_alone_changes_nothing(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    caller = served.caller()
    await caller.open()
    await caller.send(heartbeat=common_pb2.Heartbeat())
    await caller.call.write(tts_service_pb2.SynthesizeRequest(event_id="no branch"))
    await caller.text("Hi.")
    await caller.input_end()
    assert len(frames(await caller.rest())) == 3
