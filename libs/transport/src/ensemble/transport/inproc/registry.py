"""Which server answers under which name, for each event loop."""

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from ensemble.transport.inproc.server import InProcessServer

_registries: "WeakKeyDictionary[asyncio.AbstractEventLoop, Registry]" = WeakKeyDictionary()


class Registry:
    """The servers of one event loop by name."""

    def __init__(self) -> None:
        self._servers: dict[str, InProcessServer] = {}
        self._changed: set[asyncio.Future[None]] = set()

    def get(self, name: str) -> "InProcessServer | None":
        """Return the server of this name, if one accepts calls."""
        return self._servers.get(name)

    def add(self, name: str, server: "InProcessServer") -> None:
        """Let ``server`` answer under ``name``.

        Raises:
            RuntimeError: Another server does.
        """
        if name in self._servers:
            raise RuntimeError(f"inproc:{name} is already served")
        self._servers[name] = server
        self._announce()

    def remove(self, name: str, server: "InProcessServer") -> None:
        """Let ``server`` answer no more."""
        if self._servers.get(name) is server:
            del self._servers[name]
            self._announce()

    def changed(self) -> asyncio.Future[None]:
        """Return what is done once a server comes or goes, from now on."""
        waiter = asyncio.get_running_loop().create_future()
        self._changed.add(waiter)
        waiter.add_done_callback(self._changed.discard)
        return waiter

    def _announce(self) -> None:
        for waiter in self._changed:
            if not waiter.done():
                waiter.set_result(None)


def registry() -> Registry:
    """Return the registry of the running loop."""
    loop = asyncio.get_running_loop()
    found = _registries.get(loop)
    if found is None:
        found = _registries[loop] = Registry()
    return found
