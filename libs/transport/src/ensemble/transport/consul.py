"""``consul:NAME``: a channel that follows the healthy instances of a service."""

import asyncio
import contextvars
import logging
import os
import random
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import grpc

from ensemble.core.errors import ConfigurationError
from ensemble.transport.discovery import Instance, preferred, service_name, target_of
from ensemble.transport.switching import SwitchingChannel

_LOG = logging.getLogger(__name__)

_WAIT: Final = "55s"
"""How long Consul holds a query that has no news. Its HTTP client gives up after 300 s, and
Consul adds up to a sixteenth; the default of 5 min would always lose that race."""

_QUERY_LIMIT: Final = 75.0
"""Seconds after which an unanswered query counts as lost, whatever the connection says."""

_FIRST_BACKOFF: Final = 0.02
_LAST_BACKOFF: Final = 1.0

Query = Callable[[int | None], Awaitable[tuple[int, list[Instance]]]]
"""Asks for the instances; with an index, waits until they are others than at that index."""


async def follow(query: Query) -> AsyncIterator[list[Instance]]:
    """Yield the healthy instances now and whenever they change, for ever.

    An agent that is absent or restarts is asked again, from 20 ms up to 1 s apart.
    """
    index: int | None = None
    backoff = _FIRST_BACKOFF
    while True:
        try:
            async with asyncio.timeout(_QUERY_LIMIT):
                answered, instances = await query(index)
        except Exception as error:  # whatever the client raises: the agent will be back
            if backoff == _FIRST_BACKOFF:
                _LOG.warning("Consul does not answer: %s", type(error).__name__)
            index = None
            await asyncio.sleep(backoff * random.uniform(0.8, 1.2))
            backoff = min(backoff * 2, _LAST_BACKOFF)
            continue
        backoff = _FIRST_BACKOFF
        if index is None or answered != index:
            yield instances
        # An index that went backwards belongs to an agent that lost its state: ask afresh.
        index = answered if index is None or answered >= index else None


class ConsulChannel(SwitchingChannel):
    """A channel to the preferred healthy instances of a service.

    Instances on this node come first, then those of this tier. Streams already open
    finish where they are. When Consul knows no instance any more, the last ones stay: if
    they are gone their calls fail all the same, and if Consul forgot them they work.

    Args:
        name: ``NAME`` or ``NAME/INSTANCE``, such as ``orchestrator/orc_01``.
        dial: Opens a channel to a target.
        environ: Where this node's tier is read from; the agent's address is always that
            of the process, ``CONSUL_HTTP_ADDR``.

    Raises:
        ConfigurationError: The client is not installed, or the agent's address is wrong.
    """

    def __init__(
        self,
        name: str,
        dial: Callable[[str], grpc.aio.Channel],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        service, _, self._instance = name.partition("/")
        self._service = service_name(service)
        self._tier = environ.get("NODE_ROLE", "")
        client = _client()
        super().__init__(dial, f"no healthy instance of {self._service} is known to Consul")
        self._watcher = asyncio.get_running_loop().create_task(
            self._watch(client), context=contextvars.Context()
        )

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls; cancel those still open after ``grace`` seconds."""
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)
        await super().close(grace)

    async def _watch(self, client: Any) -> None:
        node = ""

        async def query(index: int | None) -> tuple[int, list[Instance]]:
            nonlocal node
            node = node or (await client.agent.self())["Config"]["NodeName"]
            answered, entries = await client.health.service(
                self._service, index=index, wait=_WAIT, passing=True
            )
            return int(answered), [_instance(entry) for entry in entries]

        try:
            async for instances in follow(query):
                if self._instance:
                    instances = [one for one in instances if one.identity == self._instance]
                target = target_of(preferred(instances, node=node, tier=self._tier))
                if not target:
                    continue
                try:
                    self.switch(target)
                except ConfigurationError as error:
                    _LOG.error("An instance may not be called: %s", error.message)
        finally:
            await client.close()


def _client() -> Any:
    try:
        import consul
        import consul.aio
    except ImportError as error:
        raise ConfigurationError(
            "An address begins with consul:, and Consul's client is not installed: "
            "install ensemble-transport[consul]."
        ) from error
    try:
        with warnings.catch_warnings():
            # py-consul passes aiohttp an argument that it deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            return consul.aio.Consul()
    except (consul.ConsulException, TypeError, ValueError) as error:
        raise ConfigurationError(
            "CONSUL_HTTP_ADDR is not an address: host:port, or http://host:port.",
            metadata={"variable": "CONSUL_HTTP_ADDR"},
        ) from error


def _instance(entry: Mapping[str, Any]) -> Instance:
    service, node = entry["Service"], entry["Node"]
    host = service.get("Address") or node["Address"]
    if ":" in host:
        host = f"[{host}]"
    meta = service.get("Meta") or {}
    return Instance(
        address=f"{host}:{service['Port']}",
        identity=meta.get("instance") or service["ID"],
        node=node["Node"],
        tier=meta.get("tier", ""),
    )
