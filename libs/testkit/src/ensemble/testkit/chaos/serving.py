"""What a process of a crash test serves: the real launcher, with scripted engines put in."""

import argparse
import asyncio
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ensemble.core.services import SERVICE_NAMES
from ensemble.launcher.commands import serve as serve_command
from ensemble.launcher.compose import host_of
from ensemble.model_router import app as router_app
from ensemble.runtime import logs
from ensemble.runtime.addresses import listen_addresses
from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.signals import serve_until_signal
from ensemble.testkit.chaos import listening_servicer, speaking_servicer
from ensemble.testkit.chaos.journal import Journal
from ensemble.testkit.chaos.model import model_maker
from ensemble.testkit.chaos.sabotage import SABOTAGES
from ensemble.tool_server import household

SENSES = "senses"
"""The process beside the stack's: ears, voice and the world model. It is never killed."""

JOURNAL = "CHAOS_JOURNAL"
SABOTAGE = "CHAOS_SABOTAGE"
"""Variables of the environment: the journal's file; what to break, see ``sabotage``."""


def preload() -> None:
    """Import all that a service needs; a process forked afterwards starts at once."""
    for name in SERVICE_NAMES:
        importlib.import_module(f"ensemble.{name.replace('-', '_')}.app")
    for name in ("ensemble.eventlog", "asyncpg", "prometheus_client"):
        importlib.import_module(name)


def run(what: str) -> int:
    """Serve one service, or the senses, until SIGTERM."""
    if sabotage := os.environ.get(SABOTAGE):
        SABOTAGES[sabotage]()
    if what == SENSES:
        return asyncio.run(_senses())
    _put_in_scripts(Path(os.environ[JOURNAL]))
    return asyncio.run(serve_command.run(argparse.Namespace(service=what)))


def _put_in_scripts(journal: Path) -> None:
    real: Callable[..., tuple[Any, ...]] = household.tools
    household.tools = lambda world, clock: (*real(world, clock), Journal(journal))
    vars(router_app)["model_maker"] = model_maker


async def _senses() -> int:
    settings = RuntimeSettings.from_environment()
    logs.configure(settings.log_level, settings.log_format)
    world = host_of(("world-model",), alone=True, settings=settings)
    spoken = ("stt", "tts")
    ears = Host(
        {"stt": listening_servicer.build, "tts": speaking_servicer.build},
        settings,
        listen={name: listen_addresses(name) for name in spoken},
    )
    async with ears:
        await serve_until_signal(world)
    return 0
