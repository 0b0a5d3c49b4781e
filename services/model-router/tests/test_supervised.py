"""llama.cpp in a child process: crashes, absent files, the end of the parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ensemble.core.errors import EngineFailedError
from ensemble.model_router.adapters.supervised import SupervisedLlamaModel
from ensemble.model_router.app import ModelRouterService
from ensemble.model_router.domain import Finished, StopReason, TextDelta
from ensemble.model_router.ports import State
from ensemble.model_router.settings import Settings
from ensemble.v1 import model_router_service_pb2 as pb

pytestmark = pytest.mark.integration


@pytest.fixture
async def model(random_gguf):
    model = SupervisedLlamaModel("random", random_gguf, context=2048, threads=1)
    await model.start()
    assert model.condition().state is State.READY
    yield model
    await model.close()


async def events_of(model, call):
    async with asyncio.timeout(60):
        return [event async for event in model.chat(call)]


async def until(happened, limit=30.0):
    async with asyncio.timeout(limit):
        while not happened():
            await asyncio.sleep(0.02)


def gone(process_id):
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def break_mid_answer(model, said, what):
    """Break the child in the middle of an answer; return how long the error took."""
    for _ in range(20):
        begun = None
        try:
            async for event in model.chat(said("hello")):
                if isinstance(event, TextDelta) and begun is None:
                    begun = time.monotonic()
                    os.kill(model.process_id, what)
        except EngineFailedError:
            assert begun is not None
            return time.monotonic() - begun
        await until(lambda: model.condition().state is State.READY)
    pytest.fail("every answer was over before the child could be broken")


async def test_a_crash_mid_answer_is_a_typed_error_and_the_child_comes_back(model, said):
    before = model.process_id
    assert await break_mid_answer(model, said, signal.SIGSEGV) < 1.0
    assert model.condition().state is State.STARTING
    assert await model.ready(30)
    assert model.process_id != before
    assert (await events_of(model, said("hi", max_output_tokens=3)))[-1].usage.written == 3


async def test_a_frozen_child_is_noticed_and_replaced(model, said):
    before = model.process_id
    await break_mid_answer(model, said, signal.SIGSTOP)
    assert await model.ready(30)
    await until(lambda: gone(before))


async def test_a_cancel_reaches_the_child_and_settles(model, said):
    call = said("hello")
    events = []
    async for event in model.chat(call):
        events.append(event)
        call.cancelled.set()
    assert isinstance(events[-1], Finished)
    assert events[-1].stop is StopReason.CANCELLED
    assert 0 < events[-1].usage.written < 2000


async def test_calls_at_once_are_all_answered(model, said):
    calls = [said(f"call {number}", max_output_tokens=40) for number in range(4)]
    answers = await asyncio.gather(*(events_of(model, call) for call in calls))
    assert [events[-1].usage.written for events in answers] == [40] * 4


async def test_closing_ends_the_child(random_gguf):
    model = SupervisedLlamaModel("random", random_gguf, context=512, threads=1)
    await model.start()
    process_id = model.process_id
    await model.close()
    assert gone(process_id)


async def test_a_file_that_is_absent_or_damaged_is_used_once_it_is_right(
    tmp_path, random_gguf, said
):
    path = tmp_path / "model.gguf"
    model = SupervisedLlamaModel("random", path, context=512, threads=1)
    await model.start()
    assert model.condition().state is State.UNAVAILABLE
    assert "missing" in model.condition().reason
    path.write_bytes(b"GGUF" + b"\xff" * 4000)
    await until(lambda: "cannot be loaded" in model.condition().reason)
    whole = tmp_path / "whole"
    whole.write_bytes(random_gguf.read_bytes())
    whole.rename(path)
    await until(lambda: model.condition().state is State.READY)
    assert (await events_of(model, said("hi", max_output_tokens=3)))[-1].usage.written == 3
    path.unlink()
    assert model.condition().state is State.UNAVAILABLE
    await model.close()


def test_no_child_outlives_a_killed_parent(random_gguf):
    program = (
        "import asyncio, sys, pathlib\n"
        "from ensemble.model_router.adapters.supervised import SupervisedLlamaModel\n"
        "async def main():\n"
        "    path = pathlib.Path(sys.argv[1])\n"
        "    model = SupervisedLlamaModel('m', path, context=512, threads=1)\n"
        "    await model.start()\n"
        "    print('child', model.process_id, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(random_gguf)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        line = next(line for line in parent.stdout if line.startswith("child"))
        child = int(line.split()[1])
        parent.kill()
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=10)
    assert gone(child)


async def test_the_service_is_healthy_without_a_model_and_finds_one_that_is_dropped_in(
    tmp_path, random_gguf, serve, ask, monkeypatch
):
    monkeypatch.setattr("ensemble.model_router.registry.EMBEDDED", "absent")
    service = ModelRouterService(Settings(models=tmp_path))
    stub = await serve(service)
    start = pb.ChatStart(messages=[pb.ChatMessage(role=pb.ROLE_USER, text="hi")])
    start.max_output_tokens = 3
    with pytest.raises(Exception, match=r"absent\.gguf is missing"):
        await ask(stub, start)
    assert service.engines() == ()
    (tmp_path / "part").write_bytes(random_gguf.read_bytes())
    (tmp_path / "part").rename(tmp_path / "my model.gguf")
    await until(lambda: service.engines() == ("llama.cpp:my-model",))
    responses = await ask(stub, start)
    assert responses[0].started.model == "my-model"
    assert responses[-1].done.usage.output_tokens == 3
    listed = await stub.ListModels(pb.ListModelsRequest())
    assert [(m.name, m.available) for m in listed.models] == [("my-model", True), ("absent", False)]
    assert listed.models[0].context_tokens == 2048
    (tmp_path / "my model.gguf").unlink()
    await until(lambda: service.engines() == ())
    with pytest.raises(Exception, match="missing"):
        await ask(stub, start)
