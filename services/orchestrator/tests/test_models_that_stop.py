"""Two models behind the real router: what one of them began to say no other one finishes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from orchestrator_rig import Client, Rig

from ensemble.core.errors import EngineFailedError
from ensemble.model_router.domain import (
    Call,
    Finished,
    ModelEvent,
    StopReason,
    TextDelta,
    TokenUsage,
)
from ensemble.model_router.ports import Condition, State
from ensemble.model_router.router import Route, Router
from ensemble.model_router.servicer import ModelRouterServicer
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.testkit.scripted import ScriptedPeers
from ensemble.v1 import common_pb2

pytestmark = pytest.mark.unit

BIG = [f"w{n} " for n in range(1, 11)]
SMALL = ["Sorry, ", "that ", "is ", "outside ", "what ", "I ", "can ", "do."]


class WordyModel:
    """Says its words in order, and behind its committed text those that are left.

    Attributes:
        fails_after: Words after which it is lost, once.
        pause_s: Seconds before each word.
    """

    engine = "script"
    context_tokens = 0

    def __init__(self, name: str, words: list[str], *, can_continue: bool) -> None:
        self.name = name
        self.words = words
        self.can_continue = can_continue
        self.fails_after: int | None = None
        self.pause_s = 0.0
        self.calls: list[Call] = []

    def condition(self) -> Condition:
        return Condition(State.READY)

    async def start(self) -> None:
        """Nothing to load."""

    async def ready(self, timeout: float) -> bool:
        return True

    async def close(self) -> None:
        """Nothing to free."""

    async def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
        self.calls.append(call)
        said = len(call.committed_text.split())
        for number, word in enumerate(self.words[said:], start=said):
            if number == self.fails_after:
                self.fails_after = None
                raise EngineFailedError
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pause_s):
                    await call.cancelled.wait()
            if call.cancelled.is_set():
                yield Finished(StopReason.CANCELLED, TokenUsage(10, number))
                return
            yield TextDelta(word, 1)
        yield Finished(StopReason.COMPLETED, TokenUsage(10, len(self.words)))


class House:
    """An orchestrator, a model router, a big model and a small one."""

    def __init__(self, rig: Rig, big: WordyModel, small: WordyModel) -> None:
        self.rig = rig
        self.big = big
        self.small = small


@pytest.fixture(params=[False, True], ids=["cannot continue", "can continue"])
async def house(
    request: pytest.FixtureRequest, settings: OrchestratorSettings
) -> AsyncIterator[House]:
    big = WordyModel("big", BIG, can_continue=request.param)
    small = WordyModel("small", SMALL, can_continue=True)
    routes = [Route(big), Route(small)]
    router = ModelRouterServicer(Router(lambda: routes))
    async with ScriptedPeers(router=router) as peers:  # type: ignore[arg-type]
        rig = Rig(peers, settings)
        await rig.start()
        yield House(rig, big, small)
        await rig.stop()


def texts(client: Client) -> list[str]:
    return [client.text(started.response_id) for started in client.of("response_started")]


async def test_a_model_that_is_lost_in_mid_answer(house: House) -> None:
    house.big.fails_after = 4
    async with house.rig.client() as client:
        await client.say("count")
        await client.finish()
    if house.big.can_continue:
        assert texts(client) == ["".join(BIG)]
        assert len(client.of("response_resumed")) == 1
        assert house.big.calls[1].committed_text == "".join(BIG[:4])
        assert not house.small.calls
        return
    first, second = client.of("response_done")
    assert first.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
    assert (first.begins_anew, second.begins_anew) == (True, False)
    assert first.usage.output_tokens == 4
    assert second.stop_reason == common_pb2.STOP_REASON_COMPLETED
    # The one that was lost has just failed: the other one answers, from the beginning.
    assert texts(client) == ["".join(BIG[:4]), "".join(SMALL)]
    assert [model.model.model for model in client.of("response_model")] == ["big", "small"]
    assert len({started.turn_id for started in client.of("response_started")}) == 1
    assert len(client.of("input_committed")) == 1
    assert not house.small.calls[0].committed_text


async def test_an_orchestrator_that_is_lost_in_mid_answer(house: House) -> None:
    house.big.pause_s = 0.05
    async with house.rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta", 3)
    house.big.pause_s = 0.0
    await house.rig.restart()
    async with house.rig.client(session_id=client.session_id, resume_from_sequence=0) as back:
        count = 1 if house.big.can_continue else 2
        done = (await back.until("response_done", count)).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_COMPLETED
    assert not house.small.calls
    assert texts(back)[-1] == "".join(BIG)
    if not house.big.can_continue:
        first = back.of("response_done")[0]
        assert first.stop_reason == common_pb2.STOP_REASON_INTERRUPTED
        kept = texts(back)[0]
        assert "".join(BIG).startswith(kept)
        assert first.heard.end == len(kept)
        assert len({started.turn_id for started in back.of("response_started")}) == 1
        assert [message.text for message in house.big.calls[-1].messages] == ["count"]


async def test_a_model_is_told_only_of_the_answer_that_was_finished(house: House) -> None:
    house.big.fails_after = 4
    async with house.rig.client() as client:
        await client.say("count")
        await client.until("response_done", 1 if house.big.can_continue else 2)
        await client.say("again")
        await client.finish()
    last = max((*house.big.calls, *house.small.calls), key=lambda call: len(call.messages))
    answer = BIG if house.big.can_continue else SMALL
    assert [each.text for each in last.messages] == ["count", "".join(answer), "again"]


async def test_a_barge_in_keeps_what_the_answer_had_used(house: House) -> None:
    house.big.pause_s = 0.05
    async with house.rig.client() as client:
        await client.say("count")
        await client.until("response_text_delta", 2)
        await client.send(response_cancel={})
        done = (await client.until("response_done")).response_done
    assert done.stop_reason == common_pb2.STOP_REASON_CANCELLED
    assert done.usage.input_tokens == 10
    assert done.usage.output_tokens >= 2


async def test_the_new_beginning_is_committed_with_the_end_of_the_old(house: House) -> None:
    house.big.fails_after = 4
    log = house.rig.service._log
    committed: list[list[str]] = []
    append = log.append

    async def noted(appends, **rest):  # type: ignore[no-untyped-def]
        committed.append([each.type for each in appends])
        return await append(appends, **rest)

    log.append = noted  # type: ignore[method-assign]
    async with house.rig.client() as client:
        await client.say("count")
        await client.finish()
    if house.big.can_continue:
        return
    batch = next(kinds for kinds in committed if "response_done" in kinds)
    assert batch[batch.index("response_done") + 1] == "response_started"
