"""Serving until somebody says stop."""

import asyncio
import signal
from typing import Final

import structlog

from ensemble.runtime.host import Host

_log = structlog.get_logger()

# Nomad and a terminal send SIGINT, systemd and Docker SIGTERM.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def serve_until_signal(host: Host) -> None:
    """Serve with an entered ``host`` until SIGINT or SIGTERM, then drain it.

    A second signal stops the wait for open streams; what is open is then cancelled when the
    host is left.
    """
    loop = asyncio.get_running_loop()
    first, second = asyncio.Event(), asyncio.Event()

    def received(number: signal.Signals) -> None:
        _log.info("node.signal", signal=number.name, again=first.is_set())
        (second if first.is_set() else first).set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received, number)
    try:
        await first.wait()
        draining = loop.create_task(host.drain())
        impatient = loop.create_task(second.wait())
        await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if draining.done():
            draining.result()
        else:
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
