"""What goes wrong, and how the caller learns of it."""

import math
from typing import Any

import grpc
import pytest

from ensemble.testkit.fixtures.scripted_synthesizer import ScriptedSynthesizer
from ensemble.testkit.fixtures.synthesis_caller import Caller, Serve, kinds, samples
from ensemble.transport.status import from_rpc_error, from_status
from ensemble.v1 import common_pb2, tts_service_pb2

pytestmark = pytest.mark.contract


async def failure_of(caller: Caller) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.rest()
    return from_rpc_error(caught.value)


async def refusal_of(caller: Caller) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.open()
    return from_rpc_error(caught.value)


async def test_a_clause_that_fails_is_an_error_event_and_the_stream_goes_on(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    responses = await served.caller().say("All is well. Then boom happens. And on it goes.")

    assert kinds(responses).count("error") == 1
    assert kinds(responses).count("clause_done") == 2
    failed = next(r for r in responses if r.HasField("error"))
    error = from_status(failed.error)
    assert error.reason == "ENGINE_FAILED"
    assert "scripted failure" not in error.message
    assert (error.metadata["spanStart"], error.metadata["spanEnd"]) == ("12", "31")
    assert responses[-1].done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert responses[-1].done.samples_sent == len(samples(responses))
    assert samples(await served.caller().say("The next call works.")).size


async def test_an_engine_that_never_ends_is_stopped(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.tts.speech_engine.MAX_CLAUSE_SECONDS", 0.2)
    served = await serve(ScriptedSynthesizer())
    responses = await served.caller().say("This sentence is far too long. Short.")
    assert kinds(responses).count("error") == 1
    assert kinds(responses)[-2:] == ["clause_done", "done"]


async def test_an_engine_that_hangs_fails_its_clause(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr("ensemble.tts.speech_engine.CLAUSE_TIMEOUT", 0.2)
    gate = threading.Event()
    served = await serve(ScriptedSynthesizer(gate=gate))
    responses = await served.caller().say("Stuck.")
    assert kinds(responses) == ["error", "done"]
    gate.set()
    assert samples(await served.caller().say("Hi.")).size


async def test_the_first_message_must_be_the_start(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    caller = served.caller()
    await caller.text("too early")
    assert (await failure_of(caller)).reason == "WRONG_FIRST_MESSAGE"
    caller = served.caller()
    await caller.call.done_writing()
    assert (await failure_of(caller)).reason == "WRONG_FIRST_MESSAGE"


async def test_a_second_start_and_text_after_the_end_are_refused(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    caller = served.caller()
    await caller.open()
    await caller.send(start=tts_service_pb2.SynthesizeStart())
    assert (await failure_of(caller)).reason == "UNEXPECTED_MESSAGE"
    caller = served.caller(initial_credit=1)
    await caller.open()
    await caller.text("Hello there.")
    await caller.input_end()
    await caller.text("and more")
    assert (await failure_of(caller)).reason == "UNEXPECTED_MESSAGE"


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ({"voice": "nobody"}, "VOICE_NOT_FOUND"),
        ({"language": "tlh"}, "VOICE_NOT_FOUND"),
        ({"sample_rate_hertz": 4_000}, "UNSUPPORTED_AUDIO_FORMAT"),
        ({"sample_rate_hertz": 400_000}, "INVALID_ARGUMENT"),
        ({"rate": 5.0}, "INVALID_ARGUMENT"),
        ({"rate": math.nan}, "INVALID_ARGUMENT"),
    ],
)
async def test_a_start_that_cannot_be_met_is_refused(
    serve: Serve, start: dict[str, Any], reason: str
) -> None:
    served = await serve(ScriptedSynthesizer())
    assert (await refusal_of(served.caller(**start))).reason == reason


async def test_streams_are_limited(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer(), max_streams=1)
    first = served.caller()
    await first.open()
    assert (await refusal_of(served.caller())).reason == "TOO_MANY_STREAMS"
    await first.input_end()
    await first.rest()
    assert samples(await served.caller().say("Hi.")).size


async def test_a_service_without_an_engine_says_so(serve: Serve) -> None:
    served = await serve(ScriptedSynthesizer())
    await served.service.close()
    assert served.service.engines() == ()
    assert (await refusal_of(served.caller())).reason == "ENGINE_UNAVAILABLE"
