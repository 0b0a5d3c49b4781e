"""Serving until somebody says stop."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

import structlog

from ensemble.runtime.host import Host

_log = structlog.get_logger()

# Nomad and a terminal send SIGINT, systemd and Docker SIGTERM.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Settled = Callable[[Mapping[str, str]], None]
"""Called once every service serves or has failed but may yet start, with what is wrong with
those that failed; an exception that it raises ends the host."""


async def serve_until_signal(host: Host, settled: Settled | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then drain ``host``.

    A host that is not entered yet is entered and left here, and the signals are heard from
    the first moment, also while its engines load. A second signal stops the wait for open
    streams; what is open is then cancelled when the host is left.

    Raises:
        ConfigurationError: The host cannot listen where it shall.
        EnsembleError: A service cannot start, now or once what it waited for is there, and
            trying again cannot mend that.
    """
    first, second = asyncio.Event(), asyncio.Event()
    with _heard(first, second):
        async with contextlib.AsyncExitStack() as stack:
            if not host.is_entered:
                await stack.enter_async_context(host)
            giving_up = asyncio.create_task(host.given_up())
            stack.push_async_callback(_cancel, giving_up)
            await _until(first, _tell(host, settled), giving_up)
            await _until(first, asyncio.Event().wait(), giving_up)
            await _until(second, host.drain())


async def _tell(host: Host, settled: Settled | None) -> None:
    failed = await host.settled()
    if settled is not None and host.hopeless is None:
        settled(failed)


async def _until(
    event: asyncio.Event, work: Coroutine[Any, Any, Any], *others: asyncio.Task[None]
) -> None:
    """Do ``work``, but no longer than until ``event``; raise what it or one of ``others`` does."""
    loop = asyncio.get_running_loop()
    working, waiting = loop.create_task(work), loop.create_task(event.wait())
    try:
        await asyncio.wait({working, waiting, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in (*others, working):
            if task.done():
                task.result()
    finally:
        await _cancel(working, waiting)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _heard(first: asyncio.Event, second: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        _log.info("node.signal", signal=number.name, again=first.is_set())
        (second if first.is_set() else first).set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
