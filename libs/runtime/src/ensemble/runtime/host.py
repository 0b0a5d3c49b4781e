"""The process around the services: it starts, serves and ends them."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import structlog

from ensemble.core.errors import EnsembleError
from ensemble.core.ids import new_id
from ensemble.core.services import SERVICE_NAMES, grpc_service_name
from ensemble.runtime.admission import Admission, State
from ensemble.runtime.health import SERVICE_NAME as HEALTH
from ensemble.runtime.health import SERVING, Health
from ensemble.runtime.hosted import HostedService
from ensemble.runtime.interceptors import server_chain
from ensemble.runtime.interceptors.metrics import MadeCalls
from ensemble.runtime.interceptors.validation import Validation
from ensemble.runtime.loop_lag import LoopLag
from ensemble.runtime.metrics import Metrics
from ensemble.runtime.node import SERVICE_NAME as NODE
from ensemble.runtime.node import NodeServicer
from ensemble.runtime.peers import PeerChannels
from ensemble.runtime.reflection import Reflection
from ensemble.runtime.registration import Registration, register
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.service import Channels, Service
from ensemble.runtime.tracing import Traces, start_tracing
from ensemble.v1 import node_service_pb2

_log = structlog.get_logger()

Build = Callable[[Channels], Service]
"""Makes a service that finds its peers through the channels it is given."""

_DEREGISTER_LIMIT: Final = 2.0
"""Seconds that Consul may take to hear that this node leaves."""


class Host:
    """Runs services in this process.

    Args:
        services: How each service is made, by its name.
        settings: Of the process.
        listen: Where each listens beside ``inproc:NAME``; absent or empty for nowhere.
        environ: Where the addresses of peers are read.

    Use it as a context manager: entering takes the addresses and begins to start the services
    in the background; leaving ends at once whatever ``drain`` has not ended.

    Attributes:
        instance_id: Id of this process, new at every start.
        peers: Its channels to all services.
        loop_lag: How late its event loop runs.
        metrics_address: Where its metrics are read; empty when they are not served.
        hopeless: Why a service failed to start where trying again cannot mend that; it says which
            one.
        is_entered: Whether it was entered; it cannot be a second time.
    """

    def __init__(
        self,
        services: Mapping[str, Build],
        settings: RuntimeSettings,
        *,
        listen: Mapping[str, Sequence[str]] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self.instance_id = new_id("node")
        self._metrics = Metrics() if settings.metrics_listen else None
        self.metrics_address = ""
        self.loop_lag = LoopLag(self._metrics.observe_lag if self._metrics else None)
        self.peers = PeerChannels(
            settings,
            colocated=services.keys(),
            environ=environ,
            interceptors=(MadeCalls(self._metrics.made),) if self._metrics else (),
        )
        self._health = Health()
        self._check = Validation()
        self._gave_up = asyncio.Event()
        # Outer services first: they end before those that they call.
        self._hosted = [
            self._host(name, services[name](self.peers), tuple((listen or {}).get(name, ())))
            for name in sorted(services, key=SERVICE_NAMES.index)
        ]
        self._following: list[asyncio.Task[None]] = []
        self._traces: Traces | None = None
        self._registration: Registration | None = None
        self.hopeless: EnsembleError | None = None
        self.is_entered = False
        self._ended = False

    def _host(self, name: str, service: Service, addresses: Sequence[str]) -> HostedService:
        admission = Admission(name, self._settings.start_wait_seconds)
        return HostedService(
            service,
            admission=admission,
            interceptors=server_chain(
                name,
                admission=admission,
                check=self._check,
                authenticator=service.authenticator(),
                meter=self._metrics.served if self._metrics else None,
                traced=self._settings.traces != "none",
            ),
            addresses=addresses,
            settings=self._settings,
            health=self._health,
            extra=self._add_common,
            gave_up=self._give_up,
        )

    def _give_up(self, error: EnsembleError) -> None:
        self.hopeless = self.hopeless or error
        self._gave_up.set()

    def _add_common(self, name: str, server: Any) -> None:
        self._health.add_to(server)
        NodeServicer(self.describe, self.instance_id, self._settings.tier.value).add_to(server)
        offered = (grpc_service_name(name), NODE, HEALTH)
        server.add_generic_rpc_handlers((Reflection(offered),))

    def describe(self) -> list[node_service_pb2.ServiceStatus]:
        """Return how each service is."""
        return [hosted.status() for hosted in self._hosted]

    def addresses_of(self, service: str) -> tuple[str, ...]:
        """Return where ``service`` listens, with the ports that were really taken."""
        for hosted in self._hosted:
            if hosted.name == service:
                return tuple(listener.address for listener in hosted.listeners)
        return ()

    async def __aenter__(self) -> Self:
        """Take the addresses and begin to start the services.

        Raises:
            ConfigurationError: An address cannot be had; what was taken is free again.
        """
        self.is_entered = True
        try:
            self._traces = start_tracing(self._settings.traces, instance_id=self.instance_id)
            if self._metrics is not None:
                self.metrics_address = self._metrics.serve(self._settings.metrics_listen)
            for hosted in self._hosted:
                await hosted.listen()
        except BaseException:
            await self._end(patience=0.0, grace=0.0)
            raise
        self.loop_lag.start()
        loop = asyncio.get_running_loop()
        for hosted in self._hosted:
            hosted.begin()
            self._following.append(loop.create_task(self._follow(hosted)))
        self._registration = register(self._settings, self.instance_id, self._hosted)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End at once what has not ended yet."""
        await self._end(patience=0.0, grace=0.0)

    async def _follow(self, hosted: HostedService) -> None:
        await hosted.serving()
        if all(other.state is State.SERVING for other in self._hosted):
            self._health.set("", SERVING)

    async def settled(self) -> dict[str, str]:
        """Wait until every service serves or has failed to start.

        Returns:
            What is wrong with those that failed, by name. They may be tried again meanwhile.
        """
        await asyncio.gather(*(hosted.settled() for hosted in self._hosted))
        return {
            hosted.name: hosted.detail for hosted in self._hosted if hosted.state is State.FAILED
        }

    async def given_up(self) -> None:
        """Wait until a service has failed to start and trying again cannot mend that.

        Raises:
            EnsembleError: ``hopeless``.
        """
        await self._gave_up.wait()
        assert self.hopeless is not None
        raise self.hopeless

    async def drain(self) -> None:
        """Leave in order: tell the open streams, health down, out of discovery, wait, stop.

        Returns soon when nothing is open. The outermost service ends first, so that what is
        open there can still call the others.
        """
        _log.info("node.draining", services=[hosted.name for hosted in self._hosted])
        if self._hosted:
            await self._hosted[0].announce_end()
        self._health.leave()
        await self._deregister()
        await self._end(
            patience=self._settings.drain_streams_seconds,
            grace=self._settings.drain_grace_seconds,
        )
        _log.info("node.drained")

    async def _deregister(self) -> None:
        if self._registration is None:
            return
        registration, self._registration = self._registration, None
        if await registration.end(limit=_DEREGISTER_LIMIT):
            # Others still dial what they heard of last.
            await asyncio.sleep(self._settings.drain_notice_seconds)

    async def _end(self, *, patience: float, grace: float) -> None:
        if self._ended:
            return
        self._health.leave()
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        if self._registration is not None:
            registration, self._registration = self._registration, None
            await registration.end(limit=_DEREGISTER_LIMIT)
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        for hosted in self._hosted:
            if patience:
                await hosted.announce_end()
            await hosted.finish(patience=max(0.0, until - loop.time()), grace=grace)
        self._ended = True
        await self.peers.close()
        self.loop_lag.stop()
        if self._metrics is not None:
            self._metrics.close()
        if self._traces is not None:
            # Flushing waits for a thread, and perhaps for a collector.
            await asyncio.to_thread(self._traces.close)
