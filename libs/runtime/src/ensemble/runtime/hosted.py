"""One service in its process: its servers, its start, its end."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc
import structlog

from ensemble.core.errors import EnsembleError
from ensemble.core.services import grpc_service_name
from ensemble.runtime import logs
from ensemble.runtime.admission import Admission, State
from ensemble.runtime.health import NOT_SERVING, SERVING, Health
from ensemble.runtime.listener import Listener
from ensemble.runtime.node import service_status
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.service import Service
from ensemble.transport import InProcessServer
from ensemble.v1 import node_service_pb2

_log = structlog.get_logger()

_FIRST_RETRY: Final = 0.5
_LONGEST_RETRY: Final = 30.0
_CLOSE_LIMIT: Final = 5.0
"""Seconds that a service may take to free its things; longer, and the process goes on without."""


class HostedService:
    """A service, reachable as ``inproc:NAME`` and on its listeners.

    Args:
        service: The service.
        admission: Lets its calls in; part of ``interceptors``.
        interceptors: One list, for every server the service is reached by.
        addresses: Where it listens beside ``inproc:NAME``.
        settings: Limits, TLS and times.
        health: Told of every change.
        extra: Called with the service's name and each server; adds what all offer beside it.
        gave_up: Called when the service cannot start and trying again would not mend that.
    """

    def __init__(
        self,
        service: Service,
        *,
        admission: Admission,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        addresses: Sequence[str],
        settings: RuntimeSettings,
        health: Health,
        extra: Callable[[str, Any], None],
        gave_up: Callable[[EnsembleError], None],
    ) -> None:
        self.service = service
        self.name = service.name
        self.grpc_name = grpc_service_name(service.name)
        self._admission = admission
        self._settings = settings
        self._health = health
        self._gave_up = gave_up
        limit = settings.max_message_bytes
        self._inproc = InProcessServer(
            service.name,
            interceptors=interceptors,
            options=(
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", limit),
            ),
        )
        self.listeners = [
            Listener(service.name, address, settings, interceptors) for address in addresses
        ]
        for server in self._servers():
            service.add_to(server)
            extra(self.name, server)
        self._starting: asyncio.Task[None] | None = None
        self._finished = False

    @property
    def state(self) -> State:
        """How the service is."""
        return self._admission.state

    @property
    def detail(self) -> str:
        """What is wrong; empty when nothing is."""
        return self._admission.detail

    def status(self) -> node_service_pb2.ServiceStatus:
        """Return how the service is, as ``DescribeNode`` says it."""
        first = self.listeners[0] if self.listeners else None
        return service_status(
            name=self.name,
            state=self.state,
            detail=self.detail,
            address=first.address if first else f"inproc:{self.name}",
            transport=first.transport if first else "inproc",
            engines=self.service.engines() if self.state is State.SERVING else (),
        )

    async def listen(self) -> None:
        """Take the addresses.

        Raises:
            ConfigurationError: One of them cannot be had.
        """
        self._say(NOT_SERVING)
        await self._inproc.start()
        for listener in self.listeners:
            await listener.start()

    def begin(self) -> None:
        """Start the service in the background, again and again where that makes sense."""
        self._starting = asyncio.get_running_loop().create_task(
            self._start(), name=f"start {self.name}"
        )

    async def settled(self) -> None:
        """Wait until the first attempt to start has succeeded or failed."""
        await self._admission.settled()

    async def serving(self) -> None:
        """Wait until the service serves."""
        await self._admission.serving()

    async def _start(self) -> None:
        logs.service.set(self.name)
        delay = _FIRST_RETRY
        while True:
            try:
                await self.service.start()
            except Exception as error:
                reason, again = _judge(error)
                _log.error(
                    "service.start_failed",
                    reason=reason,
                    retry_in=delay if again else None,
                    exc_info=error if not isinstance(error, EnsembleError) else None,
                )
                await self._close_service()
                if isinstance(error, EnsembleError) and not again:
                    self._gave_up(_named(self.name, error))
                self._admission.change(State.FAILED, reason)
                if not again:
                    return
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_RETRY)
                continue
            self._admission.change(State.SERVING)
            self._say(SERVING)
            _log.info("service.serving", engines=list(self.service.engines()))
            return

    def _say(self, state: int) -> None:
        self._health.set(self.grpc_name, state)

    async def announce_end(self) -> None:
        """Let no more calls in and tell the open streams."""
        await self._stop_starting()
        was_serving = self.state is State.SERVING
        self._admission.change(State.DRAINING)
        if was_serving:
            try:
                async with asyncio.timeout(_CLOSE_LIMIT):
                    await self.service.drain()
            except Exception as error:
                _log.error("service.drain_failed", service=self.name, exc_info=error)

    async def finish(self, *, patience: float, grace: float) -> None:
        """Wait for what is open, stop the servers, free the service.

        Args:
            patience: Seconds that open streams may take to end by themselves.
            grace: Seconds that they get after that, before they are cancelled.
        """
        if self._finished:
            return
        await self._stop_starting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._admission.idle()
        await asyncio.gather(*(server.stop(grace) for server in self._servers()))
        self._finished = True
        await self._close_service()

    async def _stop_starting(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
            self._starting = None

    async def _close_service(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_LIMIT):
                await self.service.close()
        except Exception as error:
            _log.error("service.close_failed", service=self.name, exc_info=error)

    def _servers(self) -> list[Any]:
        return [self._inproc, *(listener.server for listener in self.listeners)]


def _named(service: str, error: EnsembleError) -> EnsembleError:
    """Return ``error`` with a message that says which service it is about."""
    return type(error)(f"{service} cannot start: {error.message}", metadata=error.metadata)


def _judge(error: Exception) -> tuple[str, bool]:
    """Return what to say about a failed start, and whether to try again."""
    if isinstance(error, EnsembleError):
        return error.message, error.retryable
    return f"it failed to start ({type(error).__name__}); the log has the details", True
