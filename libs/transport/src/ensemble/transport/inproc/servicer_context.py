"""What a handler is given beside its request."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import grpc

from ensemble.transport.inproc.metadata import (
    EMPTY,
    InvalidMetadataError,
    MetadataLike,
    checked,
    excess,
)
from ensemble.transport.inproc.rpc import Rpc, Status


class ClientGoneError(grpc.aio.InternalError):
    """The client has left; nothing that is sent arrives."""


class InProcessServicerContext(grpc.aio.ServicerContext[Any, Any]):
    """The server half of a call.

    Args:
        rpc: The call itself.
        metadata_limit: Largest metadata that the client takes, in bytes.
    """

    def __init__(self, rpc: Rpc, metadata_limit: int) -> None:
        self._rpc = rpc
        self.parse: Callable[[bytes], Any] = _as_bytes
        self.serialize: Callable[[Any], bytes] = _as_bytes
        self._metadata_limit = metadata_limit
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: tuple[tuple[str, str | bytes], ...] = ()
        self._callbacks: list[Callable[[Any], None]] = []
        self.abortion: grpc.aio.AbortError | None = None

    # For handlers.

    async def read(self) -> Any:
        """Return the next request, or ``grpc.aio.EOF`` once there are no more."""
        self.check_running()
        message = await self._rpc.requests.get()
        self.check_running()
        return grpc.aio.EOF if message is None else self.parse(message)

    async def write(self, message: Any) -> None:
        """Send one response, waiting while the client is behind."""
        rpc = self._rpc
        if rpc.server_done:
            self.check_running()
        raw = self.serialize(message)
        if rpc.client_gone:
            raise ClientGoneError("The client has left the call.")
        if rpc.initial is None:
            rpc.send_initial(EMPTY)
        if rpc.may_answer(raw) and not rpc.responses.offer(raw):
            await rpc.responses.put(raw)

    async def send_initial_metadata(self, initial_metadata: MetadataLike) -> None:
        """Send the headers now instead of with the first response."""
        self.check_running()
        rpc = self._rpc
        if rpc.client_gone:
            raise ClientGoneError("The client has left the call.")
        if rpc.initial is not None:
            raise grpc.aio.UsageError("Send initial metadata failed: already sent")
        try:
            rpc.send_initial(checked(initial_metadata))
        except InvalidMetadataError:
            rpc.abandon(Status(grpc.StatusCode.INTERNAL, "Invalid metadata"))
            raise

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: MetadataLike = (),
    ) -> NoReturn:
        """End the call with an error status."""
        if self.abortion is not None:
            raise grpc.aio.UsageError("Abort already called!")
        self.abortion = grpc.aio.AbortError("Locally aborted.")
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        self._code = code
        self._details = details or self._details
        self.finish(code, self._details)
        raise self.abortion

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with an error status."""
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def set_trailing_metadata(self, trailing_metadata: MetadataLike) -> None:
        """Set what follows the last response.

        Raises:
            TypeError: It is not a sequence of pairs.
        """
        entries = tuple(trailing_metadata)
        if not all(isinstance(entry, tuple) and len(entry) == 2 for entry in entries):
            raise TypeError(
                "Invalid trailing metadata type, expected "
                f"Tuple[Tuple[str, Union[str, bytes]]...]: {trailing_metadata!s}"
            )
        self._trailing = entries

    def trailing_metadata(self) -> Any:
        """Return what was set to follow the last response."""
        return self._trailing

    def invocation_metadata(self) -> Any:
        """Return what the client sent."""
        return self._rpc.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status with which the call will end."""
        self._code = code

    def code(self) -> Any:
        """Return the status that was set, or None."""
        return self._code

    def set_details(self, details: str) -> None:
        """Set the text of the status."""
        self._details = details

    def details(self) -> str:
        """Return the text of the status that was set."""
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Do nothing: what stays in the process is not compressed."""

    def disable_next_message_compression(self) -> None:
        """Do nothing: what stays in the process is not compressed."""

    def peer(self) -> str:
        """Return the address under which the client reached this server."""
        return self._rpc.peer

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return None: there is no certificate."""
        return None

    def peer_identity_key(self) -> str | None:
        """Return None: there is no certificate."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return how the client is connected."""
        return {"transport_security_type": [b"inproc"]}

    def time_remaining(self) -> Any:
        """Return the seconds left until the deadline, or None without one."""
        return self._rpc.time_left()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` with this context once the handler has ended."""
        self._callbacks.append(callback)

    def done(self) -> bool:
        """Return whether the status was sent."""
        return self._rpc.server_done

    def cancelled(self) -> bool:
        """Return whether the status that was set is CANCELLED."""
        return self._code is grpc.StatusCode.CANCELLED

    # For the server.

    def check_running(self) -> None:
        """Raise what ends a handler that goes on after its call has ended."""
        if self.abortion is not None:
            raise self.abortion
        if self._rpc.server_done:
            raise grpc.aio.UsageError("RPC already finished.")

    def configure(
        self,
        deserializer: Callable[[bytes], Any] | None,
        serializer: Callable[[Any], bytes] | None,
    ) -> None:
        """Set how requests are made of bytes and responses turned into bytes."""
        self.parse = deserializer or _as_bytes
        self.serialize = serializer or _as_bytes

    def finish(self, code: grpc.StatusCode, details: str) -> None:
        """Send the status and what follows the last response."""
        if not self._trailing:
            self._rpc.finish(Status(code, details))
            return
        try:
            trailing = checked(self._trailing)
        except (InvalidMetadataError, TypeError):
            self._rpc.finish(Status(grpc.StatusCode.INTERNAL, "Invalid metadata"))
            return
        if why := excess(trailing, self._metadata_limit):
            self._rpc.finish(Status(grpc.StatusCode.RESOURCE_EXHAUSTED, why))
            return
        self._rpc.finish(Status(code, details, trailing))

    def take_callbacks(self) -> list[Callable[[Any], None]]:
        """Return the callbacks to run, once."""
        callbacks, self._callbacks = self._callbacks, []
        return callbacks


def _as_bytes(message: Any) -> bytes:
    if isinstance(message, bytes):
        return message
    if isinstance(message, str):
        return message.encode()
    return b"" if message is None else bytes(message)
