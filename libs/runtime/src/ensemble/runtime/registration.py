"""Makes the listeners of this process known in Consul, and keeps them known.

The client costs an HTTP stack, so it is imported only where a Consul is configured.
"""

import asyncio
import contextlib
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import structlog

from ensemble.core.errors import ConfigurationError
from ensemble.runtime.addresses import reachable_host
from ensemble.runtime.hosted import HostedService
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.transport.address import host_of

_log = structlog.get_logger()

_CHECK_INTERVAL: Final = "1s"
_CHECK_TIMEOUT: Final = "1s"
_FORGET_AFTER: Final = "1m"
"""The shortest that Consul accepts; a crashed instance is not passing long before."""

_LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks whether the agent still knows us: it forgets when it restarts."""

_CALL_LIMIT: Final = 2.0
_FIRST_RETRY: Final = 0.1
_LONGEST_RETRY: Final = 2.0


class Entry(msgspec.Struct, frozen=True):
    """One listener as Consul shall know it."""

    id: str
    name: str
    host: str
    port: int
    grpc_name: str
    use_tls: bool
    meta: dict[str, str]


def register(
    settings: RuntimeSettings, instance_id: str, hosted: Iterable[HostedService]
) -> "Registration | None":
    """Begin to register every TCP listener; return None where there is no Consul or no listener.

    Raises:
        ConfigurationError: Consul's client is not installed, or no address can be told to others.
    """
    if not settings.consul_address:
        return None
    entries = [
        _entry(settings, instance_id, service, listener.address)
        for service in hosted
        for listener in service.listeners
        if listener.transport == "tcp"
    ]
    return Registration(settings.consul_address, entries) if entries else None


def _entry(
    settings: RuntimeSettings, instance_id: str, hosted: HostedService, address: str
) -> Entry:
    port = address.rpartition(":")[2]
    return Entry(
        id=f"ensemble-{hosted.name}-{instance_id}-{port}",
        name=f"ensemble-{hosted.name}",
        host=settings.advertise_host or reachable_host(host_of(address)),
        port=int(port),
        grpc_name=hosted.grpc_name,
        use_tls=settings.tls_cert is not None,
        meta={"tier": settings.tier.value, "instance": instance_id},
    )


class Registration:
    """Keeps ``entries`` registered in the agent at ``address`` until it is ended.

    An agent that is absent or restarts is waited for.
    """

    def __init__(self, address: str, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._registered = False
        self._client = _client(address)
        self._task = asyncio.get_running_loop().create_task(
            self._keep(), name="keep registered in consul"
        )

    async def end(self, *, limit: float) -> bool:
        """Deregister, within ``limit`` seconds; return whether Consul knew of us."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            if self._registered:
                async with asyncio.timeout(limit):
                    for entry in self._entries:
                        await self._client.agent.service.deregister(entry.id)
                _log.info("consul.deregistered", services=[e.name for e in self._entries])
        except Exception as error:
            _log.warning("consul.unreachable", error=type(error).__name__)
        finally:
            with contextlib.suppress(Exception):
                await self._client.close()
        return self._registered

    async def _keep(self) -> None:
        delay = _FIRST_RETRY
        reachable = True
        while True:
            try:
                async with asyncio.timeout(_CALL_LIMIT):
                    await self._register_missing()
            except Exception as error:
                if reachable:
                    _log.warning("consul.unreachable", error=type(error).__name__)
                reachable = False
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_RETRY)
                continue
            reachable, delay = True, _FIRST_RETRY
            await asyncio.sleep(_LOOK_INTERVAL)

    async def _register_missing(self) -> None:
        known = await self._client.agent.services()
        for entry in self._entries:
            if entry.id in known:
                continue
            await self._client.agent.service.register(
                entry.name,
                service_id=entry.id,
                address=entry.host,
                port=entry.port,
                meta=entry.meta,
                check=_check(entry),
            )
            _log.info("consul.registered", name=entry.name, again=self._registered)
        self._registered = True


def _check(entry: Entry) -> Any:
    from consul import Check

    host = f"[{entry.host}]" if ":" in entry.host else entry.host
    return Check.grpc(
        f"{host}:{entry.port}/{entry.grpc_name}",
        _CHECK_INTERVAL,
        # The agent need not trust our authority to see whether we are well.
        use_tls=True if entry.use_tls else None,
        tls_skip_verify=True if entry.use_tls else None,
        timeout=_CHECK_TIMEOUT,
        deregister=_FORGET_AFTER,
    )


def _client(address: str) -> Any:
    try:
        import consul.aio
    except ImportError:
        raise ConfigurationError(
            "CONSUL_HTTP_ADDR is set, but Consul's client is not installed; "
            "install ensemble-runtime[consul], or unset it.",
            metadata={"variable": "CONSUL_HTTP_ADDR"},
        ) from None
    scheme, _, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    with warnings.catch_warnings():
        # py-consul passes aiohttp an argument that it deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        return consul.aio.Consul(host=host or rest, port=int(port or 8500), scheme=scheme or "http")
