"""The client side of ``inproc:NAME``."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc

from ensemble.transport.inproc.metadata import (
    EMPTY,
    USER_AGENT,
    Frame,
    InvalidMetadataError,
    MetadataLike,
    excess,
    outbound,
)
from ensemble.transport.inproc.multicallable import StreamRequestMethod, UnaryRequestMethod
from ensemble.transport.inproc.registry import registry
from ensemble.transport.inproc.rpc import Limits, Rpc, Status
from ensemble.transport.shapes import Shape, ShapedChannel, Transform

Options = Sequence[tuple[str, Any]]

_DEFAULT_RECEIVE_LIMIT: Final = 4 * 1024 * 1024  # gRPC's own

_CLOSE_LIMIT: Final = 5.0
"""Seconds that closing waits for handlers that were cancelled."""


def message_limits(options: Options) -> Limits:
    """Return the message limits among channel or server options."""
    chosen = dict(options)
    return Limits(
        int(chosen.get("grpc.max_send_message_length", -1)),
        int(chosen.get("grpc.max_receive_message_length", _DEFAULT_RECEIVE_LIMIT)),
    )


class InProcessChannel(ShapedChannel):
    """A channel to the server that is registered under ``name`` when a call is made.

    Args:
        name: What follows ``inproc:``.
        options: gRPC channel options; the message limits among them count.
        unreachable: Details of the UNAVAILABLE that calls end with while nobody serves.
    """

    def __init__(self, name: str, options: Options = (), unreachable: str = "") -> None:
        self._name = name
        self._address = f"inproc:{name}"
        self._limits = message_limits(options)
        self._unreachable = unreachable or (
            f"failed to connect to all addresses; last error: UNKNOWN: {self._address}: "
            "Failed to connect to remote host: Connection refused"
        )
        self._active: set[Rpc] = set()
        self._forget = self._active.discard
        self._waiting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls; cancel those still open after ``grace`` seconds."""
        if self._closed:
            return
        self._closed = True
        open_calls = list(self._active)
        if grace and open_calls:
            ends = [asyncio.ensure_future(rpc.ended()) for rpc in open_calls]
            _, late = await asyncio.wait(ends, timeout=grace)
            for end in late:
                end.cancel()
        for rpc in open_calls:
            rpc.cancel("Locally cancelled by application!")
        mine = asyncio.current_task()
        tasks = {rpc.task for rpc in open_calls if rpc.task is not None and rpc.task is not mine}
        for waiting in self._waiting:
            waiting.cancel()
        tasks |= self._waiting
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_LIMIT)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return READY while a server is registered under the name."""
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        if registry().get(self._name) is not None:
            return grpc.ChannelConnectivity.READY
        return grpc.ChannelConnectivity.TRANSIENT_FAILURE

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another than ``last_observed_state``."""
        while self.get_state() is last_observed_state:
            await registry().changed()

    async def channel_ready(self) -> None:
        """Wait until a server is registered under the name."""
        while self.get_state() is not grpc.ChannelConnectivity.READY:
            await registry().changed()

    def bind(
        self,
        shape: Shape,
        method: str,
        serializer: Transform | None,
        deserializer: Transform | None,
        registered: bool | None,
    ) -> UnaryRequestMethod | StreamRequestMethod:
        """Return a callable for ``method``."""
        kind = StreamRequestMethod if shape.streams_requests else UnaryRequestMethod
        return kind(self.open_call, shape, method, serializer, deserializer)

    def open_call(
        self,
        method: str,
        request: bytes | None,
        unary_response: bool,
        timeout: float | None,
        metadata: MetadataLike | None,
        wait_for_ready: bool | None,
    ) -> tuple[Rpc, Exception | None]:
        """Begin a call.

        Returns:
            The call, and what to raise when it is used: None unless its metadata is of
            a kind that cannot be sent.
        """
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")
        rpc = Rpc(
            asyncio.get_running_loop(),
            method,
            EMPTY,
            timeout,
            self._address,
            self._limits,
            unary_response,
            self._forget,
        )
        self._active.add(rpc)
        failure: Exception | None = None
        headers: Frame = (USER_AGENT,)
        if metadata:
            try:
                headers += outbound(metadata)
            except InvalidMetadataError as error:
                rpc.abandon(Status(grpc.StatusCode.INTERNAL, "Invalid metadata"))
                if unary_response and request is not None:
                    failure = error
            except TypeError as error:
                rpc.abandon(Status(grpc.StatusCode.INTERNAL, "Invalid metadata"))
                failure = error
        rpc.metadata = headers
        if rpc.status is None:
            self._connect(rpc, request, wait_for_ready)
        return rpc, failure

    def _connect(self, rpc: Rpc, request: bytes | None, wait_for_ready: bool | None) -> None:
        if rpc.time_left() == 0:
            rpc.expire()
            return
        server = registry().get(self._name)
        if server is None:
            if wait_for_ready:
                task = asyncio.get_running_loop().create_task(self._connect_later(rpc, request))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
            else:
                rpc.abandon(Status(grpc.StatusCode.UNAVAILABLE, self._unreachable))
            return
        if len(rpc.metadata) > 1 and (why := excess(rpc.metadata, server.metadata_limit)):
            rpc.abandon(Status(grpc.StatusCode.RESOURCE_EXHAUSTED, why))
            return
        rpc.response_limit, rpc.request_limit = server.limits
        if request is not None:
            if not rpc.may_send(request):
                return
            rpc.requests.offer(request)
            rpc.requests.close()
        server.accept(rpc)

    async def _connect_later(self, rpc: Rpc, request: bytes | None) -> None:
        while registry().get(self._name) is None and rpc.status is None:
            change = registry().changed()
            end = asyncio.ensure_future(rpc.ended())
            try:
                either: set[asyncio.Future[Any]] = {change, end}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                change.cancel()
                end.cancel()
        if rpc.status is None:
            self._connect(rpc, request, None)
