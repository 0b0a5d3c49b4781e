"""A channel whose calls pass interceptors, whatever carries them."""

from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from typing import Any

import grpc

from ensemble.transport.feeding import feed
from ensemble.transport.outgoing import Begun, ClientInterceptor, Outgoing
from ensemble.transport.shapes import Shape, ShapedChannel, Transform

MetadataLike = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]


class InterceptedChannel(ShapedChannel):
    """Passes each call by ``interceptors``, outermost first, and on to ``channel``."""

    def __init__(
        self, channel: grpc.aio.Channel, interceptors: Sequence[ClientInterceptor]
    ) -> None:
        self._channel = channel
        self._interceptors = tuple(interceptors)

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls; cancel those still open after ``grace`` seconds."""
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how the channel is connected."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another than ``last_observed_state``."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel is connected."""
        await self._channel.channel_ready()

    def bind(
        self,
        shape: Shape,
        method: str,
        serializer: Transform | None,
        deserializer: Transform | None,
        registered: bool | None,
    ) -> "UnaryRequestMethod | StreamRequestMethod":
        """Return a callable for ``method``."""
        # The network channel takes what stubs pass of it; its published types do not.
        inner = getattr(self._channel, shape.name)(
            method, serializer, deserializer, _registered_method=registered
        )
        kind = StreamRequestMethod if shape.streams_requests else UnaryRequestMethod
        return kind(inner, method, self._interceptors)


class Entries(grpc.aio.Metadata):
    """Metadata that our own interceptors made, each key once, on its way into a channel.

    A channel counts and iterates it, no more: making the mapping that its class is otherwise
    would cost a call more than sending the entries does.
    """

    def __init__(self, entries: list[tuple[str, str | bytes]]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[str, str | bytes]]:
        return iter(self._entries)


def _repeats(entries: list[tuple[str, str | bytes]]) -> bool:
    if len(entries) == 2:
        return entries[0][0] == entries[1][0]
    return len(entries) > 2 and len({key for key, _ in entries}) < len(entries)


class _Method:
    def __init__(
        self, inner: Any, method: str, interceptors: tuple[ClientInterceptor, ...]
    ) -> None:
        self._inner = inner
        self._method = method
        self._intercepts = tuple(interceptor.intercept for interceptor in interceptors)

    def _begin(
        self,
        subject: tuple[Any, ...],
        timeout: float | None,
        metadata: MetadataLike | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> Any:
        outgoing = Outgoing(self._method, timeout, list(metadata) if metadata else [])
        begun: tuple[Begun, ...] = ()
        for intercept in self._intercepts:
            hook = intercept(outgoing)
            if hook is not None:
                begun = (*begun, hook)
        entries: Any = outgoing.metadata
        if metadata is None and not _repeats(entries):
            entries = Entries(entries)
        try:
            call = self._inner(
                *subject,
                timeout=outgoing.timeout,
                metadata=entries,
                credentials=credentials,
                wait_for_ready=wait_for_ready,
                compression=compression,
            )
        except BaseException:
            for hook in begun:
                hook(None)
            raise
        for hook in begun:
            hook(call)
        return call


class UnaryRequestMethod(_Method):
    """A method that takes one request."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        """Begin a call."""
        return self._begin((request,), timeout, metadata, credentials, wait_for_ready, compression)


class StreamRequestMethod(_Method):
    """A method that takes a stream of requests."""

    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataLike | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        """Begin a call."""
        call = self._begin((), timeout, metadata, credentials, wait_for_ready, compression)
        feed(call, request_iterator)
        return call
