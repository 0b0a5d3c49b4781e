"""The client half of a call, with the interface of ``grpc.aio``'s own call objects."""

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any, Final

import grpc

from ensemble.transport.inproc.metadata import received
from ensemble.transport.inproc.rpc import Rpc, Status

_LOG = logging.getLogger(__name__)

_LOCAL_CANCELLATION: Final = "Locally cancelled by application!"

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]


def serialize(message: Any, serializer: Serializer | None) -> bytes:
    """Return the bytes of a request; a failing serializer sends none, as in ``grpc.aio``."""
    if serializer is None:
        return b"" if message is None else bytes(message)
    try:
        return serializer(message)
    except Exception:
        _LOG.exception("Exception serializing message!")
        return b""


class InProcessCall(grpc.aio.Call):
    """What the four kinds of call share.

    Args:
        rpc: The call itself.
        deserializer: Makes a response of its bytes; None leaves the bytes.
        failure: Raised when the call is used, for a call that could not even begin.
    """

    def __init__(
        self, rpc: Rpc, deserializer: Deserializer | None, failure: Exception | None = None
    ) -> None:
        self._rpc = rpc
        self._deserializer = deserializer
        self._failure = failure
        self._callbacks: list[Callable[[Any], None]] = []

    def cancelled(self) -> bool:
        """Return whether the call ended with CANCELLED."""
        status = self._rpc.status
        return status is not None and status.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        """Return whether the call has ended."""
        return self._rpc.status is not None

    def time_remaining(self) -> float | None:
        """Return the seconds left until the deadline, or None without one."""
        return self._rpc.time_left()

    def cancel(self) -> bool:
        """End the call now; return False when it had ended before."""
        return self._rpc.cancel(_LOCAL_CANCELLATION)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` with this call once it has ended."""
        if self.done():
            callback(self)
            return
        if not self._callbacks:
            self._watch_end()
        self._callbacks.append(callback)

    def _watch_end(self) -> None:
        # Weakly, so that a stream that nobody holds any more is collected and cancelled.
        self._rpc.when_ended(_WeakCall(self))

    def _run_callbacks(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                _LOG.exception("Exception in a done callback of a call")

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Wait for the server's headers and return them."""
        return received(await self._rpc.headers())

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Wait for the end and return the server's trailers."""
        return received((await self._rpc.ended()).trailing)

    async def code(self) -> grpc.StatusCode:
        """Wait for the end and return the status code."""
        return (await self._rpc.ended()).code

    async def details(self) -> str:
        """Wait for the end and return the text of the status."""
        return (await self._rpc.ended()).details

    async def debug_error_string(self) -> str:
        """Wait for the end and return the text for logs; empty when all went well."""
        return _debug_text(await self._rpc.ended())

    def _raise_for_status(self) -> None:
        if self._failure is not None:
            raise self._failure
        rpc = self._rpc
        status = rpc.status
        if status is None or status.code is grpc.StatusCode.OK:
            return
        if rpc.locally_cancelled:
            raise asyncio.CancelledError
        raise grpc.aio.AioRpcError(
            status.code,
            received(rpc.initial or ()),
            received(status.trailing),
            details=status.details,
            debug_error_string=_debug_text(status),
        )

    def _parse(self, message: bytes) -> Any:
        if self._deserializer is None:
            return message
        try:
            return self._deserializer(message)
        except Exception:
            _LOG.exception("Exception deserializing message!")
            return None

    def __repr__(self) -> str:
        status = self._rpc.status
        if status is None:
            return f"<{type(self).__name__} object>"
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {status.code}\n"
            f'\tdetails = "{status.details}"\n>'
        )


class _WeakCall:
    """Runs a call's done callbacks without keeping the call alive."""

    __slots__ = ("_call",)

    def __init__(self, call: InProcessCall) -> None:
        self._call = weakref.ref(call)

    def __call__(self) -> None:
        call = self._call()
        if call is not None:
            call._run_callbacks()


def _debug_text(status: Status) -> str:
    if status.code is grpc.StatusCode.OK:
        return ""
    return f"{status.code.name}:{status.details}"
