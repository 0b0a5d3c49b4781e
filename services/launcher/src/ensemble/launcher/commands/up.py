"""``ensemble up``: the assistant, in one process or in one for each service."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Collection, Mapping

from ensemble.core import paths
from ensemble.core.errors import ConfigurationError, EnsembleError
from ensemble.core.services import SERVICE_NAMES
from ensemble.launcher.announce import announce_failures, say
from ensemble.launcher.compose import host_of, refuse_strangers, services_of
from ensemble.launcher.connection import client, gateway_address
from ensemble.launcher.home_lock import hold_home
from ensemble.launcher.supervisor import Supervisor
from ensemble.runtime import logs
from ensemble.runtime.garbage import relax_collector
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.signals import serve_until_signal
from ensemble.runtime.tier import Tier

_SLOW = 3.0
"""Seconds of start-up after which the operator is told what is waited for."""

_POLL = 0.1
_PATIENCE = 120.0


async def run(options: argparse.Namespace) -> int:
    """Start the services and serve until SIGINT or SIGTERM."""
    if options.tier:
        os.environ["NODE_ROLE"] = options.tier
    settings = RuntimeSettings.from_environment()
    with hold_home():
        if options.distributed or (settings.tier is Tier.CORE and not options.services):
            return await _distributed(options)
        return await _colocated(options, settings)


async def _colocated(options: argparse.Namespace, settings: RuntimeSettings) -> int:
    names, remark = options.services, ""
    if not names:
        names, remark = services_of(settings.tier)
    prompt = _wants_prompt(options) and "gateway" in names
    log = None
    if prompt:
        # Log lines would run through what the person types.
        log = (paths.ensure_private(paths.home() / "logs") / "ensemble.log").open("a")
        logs.configure(settings.log_level, "json", log)
    else:
        logs.configure(settings.log_level, settings.log_format)
    try:
        if remark:
            say(remark)
        host = host_of(names, alone=False, settings=settings)
        waiting = asyncio.create_task(_remind(f"still starting {', '.join(names)}"))

        def settled(failures: Mapping[str, str]) -> None:
            waiting.cancel()
            relax_collector()
            announce_failures(failures)
            if not prompt:
                _ready(f"tier {settings.tier.value}, one process", failures)

        try:
            if prompt:
                async with host:
                    failures = await host.settled()
                    if host.hopeless is not None:
                        raise host.hopeless
                    settled(failures)
                    await _prompt()
                    await host.drain()
            else:
                await serve_until_signal(host, settled=settled)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    finally:
        if log is not None:
            log.close()
    return 0


async def _distributed(options: argparse.Namespace) -> int:
    logs.configure()
    refuse_strangers(os.environ)
    names = options.services or SERVICE_NAMES
    folder = paths.home() / "logs"
    supervisor = Supervisor(names, folder, os.environ)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    await supervisor.start()
    try:
        if "gateway" in names:
            waiting = asyncio.create_task(_all_serving(names))
            stopping = asyncio.create_task(stop.wait())
            hopeless = asyncio.create_task(supervisor.hopeless())
            tasks = (waiting, stopping, hopeless)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if hopeless.done():
                    raise hopeless.result()
                if not waiting.done():
                    return 0
                waiting.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if _wants_prompt(options):
            loop.remove_signal_handler(signal.SIGINT)
            await _prompt()
        else:
            _ready(f"{len(names)} processes, their logs are in {folder}", ())
            await stop.wait()
    finally:
        await supervisor.stop()
    return 0


async def _all_serving(names: tuple[str, ...]) -> None:
    """Wait until every service serves; say who is late."""
    loop = asyncio.get_running_loop()
    begin = said = loop.time()
    late = ", ".join(names)
    while loop.time() - begin < _PATIENCE:
        try:
            async with client() as gateway:
                rows = await gateway.status()
            late = ", ".join(
                f"{row.name} ({row.state})"
                for row in rows
                if row.name in names and row.state != "serving"
            )
            if not late:
                return
        except EnsembleError as error:
            late = f"the gateway ({error.reason})"
        if loop.time() - said > _SLOW:
            said = loop.time()
            say(f"still waiting for {late}")
        await asyncio.sleep(_POLL)
    raise ConfigurationError(
        f"Not all services came up within {_PATIENCE:.0f} s: {late}. Their logs are in "
        f"{paths.home() / 'logs'}."
    )


async def _remind(what: str) -> None:
    """Say every few seconds what is waited for."""
    while True:
        await asyncio.sleep(_SLOW)
        say(what)


def _wants_prompt(options: argparse.Namespace) -> bool:
    return bool(options.prompt and sys.stdin.isatty() and sys.stdout.isatty())


def _ready(how: str, failures: Collection[str]) -> None:
    if failures:
        say(f"up at {gateway_address()} without {', '.join(failures)} ({how})")
        return
    say(f"ready at {gateway_address()} ({how})")
    say('try: uv run ensemble ask "turn on the kitchen light"')


async def _prompt() -> None:
    from ensemble.launcher.terminal import HINT, Chat

    say(f"ready at {gateway_address()}")
    print(HINT)
    async with client() as gateway:
        await Chat(gateway).run()
