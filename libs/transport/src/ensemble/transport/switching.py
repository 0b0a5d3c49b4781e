"""A channel whose destination changes while it is open."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc

from ensemble.transport.deferred import DeferredCall
from ensemble.transport.inproc.channel import InProcessChannel
from ensemble.transport.shapes import Shape, ShapedChannel, Transform

FIRST_DESTINATION_LIMIT: Final = 2.0
"""Seconds that a call waits for the first destination before it ends as UNAVAILABLE."""


class _Generation:
    """One destination, closed once nobody calls it any more."""

    def __init__(self, target: str, channel: grpc.aio.Channel) -> None:
        self.target = target
        self.channel = channel
        self._calls = 0
        self._retired = False
        self._unused = asyncio.Event()
        self._unused.set()

    def track(self, call: Any) -> None:
        """Keep the channel open until ``call`` has ended."""
        self._calls += 1
        self._unused.clear()
        call.add_done_callback(self._ended)

    def _ended(self, _: Any) -> None:
        self._calls -= 1
        if not self._calls:
            self._unused.set()

    async def close_when_unused(self) -> None:
        """Wait for the last call, then close."""
        try:
            await self._unused.wait()
        finally:
            await self.channel.close()


class SwitchingChannel(ShapedChannel):
    """Sends each call to the destination of the moment; calls already open stay where they are.

    Calls made before the first destination is known wait for it, for a limited time.

    Args:
        dial: Opens a channel to a target.
        unreachable: Details of the UNAVAILABLE that calls end with while there is none.
    """

    def __init__(self, dial: Callable[[str], grpc.aio.Channel], unreachable: str) -> None:
        self._dial = dial
        self._none = InProcessChannel("", unreachable=unreachable)
        self._current: _Generation | None = None
        self._known = asyncio.Event()
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def target(self) -> str:
        """The destination of the moment; empty while there is none."""
        return "" if self._current is None else self._current.target

    def switch(self, target: str) -> None:
        """Send the calls that follow to ``target``.

        Raises:
            ConfigurationError: It may not be dialled.
        """
        if self._closed or target == self.target:
            return
        fresh = _Generation(target, self._dial(target))
        old, self._current = self._current, fresh
        self._known.set()
        if old is not None:
            task = asyncio.get_running_loop().create_task(old.close_when_unused())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls; cancel those still open after ``grace`` seconds."""
        self._closed = True
        if self._retiring and grace:
            await asyncio.wait(self._retiring, timeout=grace)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._current is not None:
            await self._current.channel.close(grace)
        await self._none.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how the destination of the moment is connected."""
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        if self._current is None:
            return grpc.ChannelConnectivity.IDLE
        return self._current.channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another than ``last_observed_state``."""
        await self._known.wait()
        while self._current is not None and self.get_state() is last_observed_state:
            await self._current.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until there is a destination and it is connected."""
        await self._known.wait()
        if self._current is not None:
            await self._current.channel.channel_ready()

    def begin(self, method: "_Method", subject: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Begin a call now, or as soon as there is a destination."""
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")
        if self._current is None:
            return DeferredCall(self._begin_later(method, subject, kwargs))
        return self._begin_on(self._current, method, subject, kwargs)

    def _begin_on(
        self,
        generation: _Generation,
        method: "_Method",
        subject: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        call = method.on(generation.channel)(*subject, **kwargs)
        generation.track(call)
        return call

    async def _begin_later(
        self, method: "_Method", subject: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        loop = asyncio.get_running_loop()
        began = loop.time()
        timeout: float | None = kwargs.get("timeout")
        limit = (
            FIRST_DESTINATION_LIMIT if timeout is None else min(timeout, FIRST_DESTINATION_LIMIT)
        )
        try:
            async with asyncio.timeout(limit):
                await self._known.wait()
        except TimeoutError:
            return method.on(self._none)(*subject, **kwargs)
        if timeout is not None:
            kwargs["timeout"] = max(0.0, timeout - (loop.time() - began))
        if self._current is None or self._closed:
            return method.on(self._none)(*subject, **kwargs)
        return self._begin_on(self._current, method, subject, kwargs)

    def bind(
        self,
        shape: Shape,
        method: str,
        serializer: Transform | None,
        deserializer: Transform | None,
        registered: bool | None,
    ) -> Any:
        """Return a callable for ``method``."""
        return _Method(self, shape, method, serializer, deserializer)


class _Method:
    """One method, bound to a destination when it is called."""

    def __init__(
        self,
        channel: SwitchingChannel,
        shape: Shape,
        method: str,
        serializer: Transform | None,
        deserializer: Transform | None,
    ) -> None:
        self._channel = channel
        self._shape = shape
        self._method = method
        self._transforms = (serializer, deserializer)
        self._bound_to: grpc.aio.Channel | None = None
        self._bound: Any = None

    def on(self, channel: grpc.aio.Channel) -> Any:
        """Return this method's callable on ``channel``."""
        if self._bound_to is not channel:
            self._bound = getattr(channel, self._shape.name)(self._method, *self._transforms)
            self._bound_to = channel
        return self._bound

    def __call__(self, *subject: Any, **kwargs: Any) -> Any:
        """Begin a call."""
        return self._channel.begin(self, subject, kwargs)
