"""Nothing stays behind: tasks, calls, channels and file descriptors, after many cancelled calls."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import psutil
import pytest

from ensemble.transport import open_channel, stream
from tests.contract.conftest import SERVICE, Serve
from tests.contract.handlers import stream_stream, stream_unary, unary_stream, unary_unary

pytestmark = pytest.mark.contract

CALLS = 10_000
CALLERS = 100
CHANNELS = 4
LONGEST = 0.004
"""Seconds after which a call is cancelled at the latest; most run longer than that."""


class Busy:
    """Handlers that take their time, and count themselves."""

    def __init__(self, seed: int) -> None:
        self.running = 0
        self._random = random.Random(seed)

    def pause(self) -> Any:
        return asyncio.sleep(self._random.uniform(0, LONGEST * 2))

    async def unary(self, request: bytes, context: Any) -> bytes:
        self.running += 1
        try:
            await self.pause()
            return request
        finally:
            self.running -= 1

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.running += 1
        try:
            while True:
                yield request
                await self.pause()
        finally:
            self.running -= 1

    async def collect(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        self.running += 1
        try:
            async for _ in requests:
                await self.pause()
            return b""
        finally:
            self.running -= 1

    async def converse(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self.running += 1
        try:
            async for request in requests:
                yield request
                await self.pause()
        finally:
            self.running -= 1

    def methods(self) -> dict[str, Any]:
        return {
            "Unary": unary_unary(self.unary),
            "Stream": unary_stream(self.stream),
            "Collect": stream_unary(self.collect),
            "Converse": stream_stream(self.converse),
        }


class Caller:
    """Makes calls of all shapes and cancels each at a random moment."""

    def __init__(self, channel: grpc.aio.Channel, seed: int) -> None:
        self._random = random.Random(seed)
        self._shapes = (
            lambda: channel.unary_unary(f"/{SERVICE}/Unary")(b"x"),  # type: ignore[arg-type]
            lambda: channel.unary_stream(f"/{SERVICE}/Stream")(b"x"),
            lambda: channel.stream_unary(f"/{SERVICE}/Collect")(self._requests()),
            lambda: channel.stream_stream(f"/{SERVICE}/Converse")(self._requests()),
        )

    async def _requests(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(LONGEST)

    async def run(self, number: int) -> None:
        for _ in range(number):
            call: Any = self._random.choice(self._shapes)()
            moment = self._random.choice((0, self._random.uniform(0, LONGEST)))
            if self._random.random() < 0.5:
                await self._cancel_the_reader(call, moment)
            else:
                async with stream(call):
                    await asyncio.sleep(moment)

    async def _cancel_the_reader(self, call: Any, moment: float) -> None:
        reader = asyncio.create_task(_consume(call))
        await asyncio.sleep(moment)
        reader.cancel()
        await asyncio.wait({reader})
        if not reader.cancelled():
            reader.exception()
        call.cancel()


async def _consume(call: Any) -> None:
    if hasattr(call, "__aiter__"):
        async for _ in call:
            pass
    else:
        await call


def count(kind: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


async def settle(condition: Any) -> None:
    """Wait until ``condition`` holds, half a minute at most; the test then says what does not."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + 30
    while not condition() and loop.time() < limit:
        await asyncio.sleep(0.01)


async def rest() -> None:
    """Wait until no task has come or gone for a while.

    Calls that their clients have given up long ago still wait to be accepted by the server,
    which takes one of a method at each turn of the loop.
    """
    loop = asyncio.get_running_loop()
    seen, since, limit = asyncio.all_tasks(), loop.time(), loop.time() + 30
    while loop.time() - since < 0.25 and loop.time() < limit:
        await asyncio.sleep(0.01)
        if (now := asyncio.all_tasks()) != seen:
            seen, since = now, loop.time()


async def test_cancelled_calls_leave_nothing_behind(serve: Serve) -> None:
    busy = Busy(1)
    address, server = serve.bind()
    server.add_registered_method_handlers(SERVICE, busy.methods())
    await server.start()
    serve.stack.push_async_callback(server.stop, None)
    # One round first: what libraries keep for good is not a leak.
    await _round(address, 200)
    await rest()
    process = psutil.Process()
    tasks, calls, channels = _counts()
    descriptors = process.num_fds()

    await _round(address, CALLS)

    await rest()
    assert busy.running == 0
    # A connection lives until the last of its calls is collected, and grpc.aio's own call
    # objects refer to themselves.
    await settle(lambda: _counts() == (tasks, calls, channels))
    assert _counts() == (tasks, calls, channels)
    await settle(lambda: process.num_fds() <= descriptors)
    assert process.num_fds() <= descriptors


def _counts() -> tuple[int, int, int]:
    return len(asyncio.all_tasks()), count(grpc.aio.Call), count(grpc.aio.Channel)


async def _round(address: str, number: int) -> None:
    channels = [open_channel(address) for _ in range(CHANNELS)]
    async with asyncio.TaskGroup() as callers:
        for index in range(CALLERS):
            caller = Caller(channels[index % CHANNELS], seed=index)
            callers.create_task(caller.run(number // CALLERS))
    for channel in channels:
        await channel.close()
