"""Silence is noticed, and idle streams are kept alive."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from ensemble.core.errors import PeerLostError
from ensemble.transport.heartbeat import WatchedCaller, watch, with_heartbeats

pytestmark = pytest.mark.unit


async def spaced(*pauses: float) -> AsyncIterator[int]:
    for number, pause in enumerate(pauses):
        await asyncio.sleep(pause)
        yield number


async def silent() -> AsyncIterator[int]:
    yield 0
    await asyncio.Event().wait()


async def test_a_stream_that_keeps_talking_passes() -> None:
    assert [number async for number in watch(spaced(0, 0.01, 0.01), timeout=5)] == [0, 1, 2]


async def test_silence_is_a_lost_peer() -> None:
    received = []
    with pytest.raises(PeerLostError):
        async for number in watch(silent(), timeout=0.05):
            received.append(number)  # noqa: PERF401 - kept in spite of the error
    assert received == [0]
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_each_message_begins_a_new_wait() -> None:
    pauses = [0.04] * 10
    assert len([number async for number in watch(spaced(*pauses), timeout=0.3)]) == 10


async def test_a_slow_consumer_is_not_silence() -> None:
    received = []
    async for number in watch(spaced(0, 0, 0), timeout=0.05):
        await asyncio.sleep(0.12)
        received.append(number)
    assert received == [0, 1, 2]


async def test_a_loop_that_stood_still_is_not_silence() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def events() -> AsyncIterator[int]:
        while True:
            yield await queue.get()

    def stall() -> None:
        time.sleep(0.4)
        loop.call_later(0.02, queue.put_nowait, 1)

    loop = asyncio.get_running_loop()
    loop.call_later(0.01, stall)
    async with aclosing(watch(events(), timeout=0.1)) as watched:
        assert await anext(watched) == 1


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def consume() -> None:
        async for _ in watch(silent(), timeout=5):
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_of_the_stream_pass() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 0
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        async for _ in watch(broken(), timeout=5):
            pass


async def test_heartbeats_fill_the_pauses() -> None:
    events = with_heartbeats(spaced(0, 0.16, 0), lambda: -1, interval=0.05)
    received = [event async for event in events]
    assert [event for event in received if event >= 0] == [0, 1, 2]
    assert received[0] == 0
    assert received[-1] == 2
    assert received.count(-1) >= 1


async def test_a_busy_stream_has_no_heartbeats() -> None:
    pauses = [0.001] * 100
    events = with_heartbeats(spaced(*pauses), lambda: -1, interval=5)
    assert [event async for event in events] == list(range(100))


async def test_events_come_in_order_and_only_a_few_ahead() -> None:
    drawn = 0

    async def events() -> AsyncIterator[int]:
        nonlocal drawn
        for number in range(100):
            drawn += 1
            yield number

    async with aclosing(with_heartbeats(events(), lambda: -1)) as merged:
        assert await anext(merged) == 0
        await asyncio.sleep(0.02)
        assert drawn <= 20
        assert [event async for event in merged] == list(range(1, 100))


async def test_what_ends_the_events_ends_the_stream() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 0
        raise LookupError("gone")

    received = []
    with pytest.raises(LookupError, match="gone"):
        async for event in with_heartbeats(broken(), lambda: -1):
            received.append(event)  # noqa: PERF401 - kept in spite of the error
    assert received == [0]


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_nothing_is_left_when_the_stream_is_left(how: str) -> None:
    closed = asyncio.Event()

    async def events() -> AsyncIterator[int]:
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            closed.set()

    merged = with_heartbeats(events(), lambda: -1, interval=5)
    before = len(asyncio.all_tasks())

    async def consume() -> None:
        async with aclosing(merged):
            async for _ in merged:
                if how == "close":
                    return

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.02)
    if how == "cancel":
        task.cancel()
    await asyncio.wait({task})
    assert closed.is_set()
    assert len(asyncio.all_tasks()) == before


async def test_the_two_ends_fit_together() -> None:
    quiet = with_heartbeats(spaced(0, 0.5), lambda: -1, interval=0.05)
    received = [event async for event in watch(quiet, timeout=0.3) if event >= 0]
    assert received == [0, 1]


BEAT = -1


def caller(requests: AsyncIterator[int], *, mute_timeout: float = 5) -> WatchedCaller[int]:
    return WatchedCaller(
        requests, lambda request: request == BEAT, timeout=0.05, mute_timeout=mute_timeout
    )


async def sent(*requests: int) -> AsyncIterator[int]:
    for request in requests:
        yield request
    await asyncio.Event().wait()


async def test_a_caller_that_sent_a_heartbeat_has_to_go_on_with_them() -> None:
    received = []
    with pytest.raises(PeerLostError):
        async for request in caller(sent(1, BEAT)).requests():
            received.append(request)  # noqa: PERF401 - kept in spite of the error
    assert received == [1, BEAT]


async def test_a_caller_without_heartbeats_may_be_silent_for_longer() -> None:
    received = [request async for request in caller(spaced(0, 0.3)).requests()]
    assert received == [0, 1]
    with pytest.raises(PeerLostError):
        async for _ in caller(sent(1), mute_timeout=0.05).requests():
            pass


async def test_a_caller_without_heartbeats_lives_by_what_it_takes() -> None:
    watched = caller(spaced(0, 0.5), mute_timeout=0.3)

    async def take() -> None:
        while True:
            await asyncio.sleep(0.02)
            watched.took()

    taking = asyncio.create_task(take())
    assert [request async for request in watched.requests()] == [0, 1]
    taking.cancel()


async def test_taking_is_no_heartbeat() -> None:
    watched = caller(sent(BEAT))

    async def take() -> None:
        while True:
            await asyncio.sleep(0.01)
            watched.took()

    taking = asyncio.create_task(take())
    async with asyncio.timeout(5):
        with pytest.raises(PeerLostError):
            async for _ in watched.requests():
                pass
    taking.cancel()


async def test_the_first_answer_has_a_limit_of_its_own() -> None:
    with pytest.raises(PeerLostError):
        await anext(watch(spaced(30), 30, first=0.05))
    assert [number async for number in watch(spaced(0, 0.2), 30, first=0.05)] == [0, 1]
    late = watch(spaced(0.2, 30), 0.05, first=30)
    assert await anext(late) == 0
    with pytest.raises(PeerLostError):
        await anext(late)
