"""``ensemble serve``: one service as a process of its own."""

import argparse
from collections.abc import Mapping

from ensemble.launcher.announce import announce_failures
from ensemble.launcher.compose import host_of
from ensemble.runtime import logs
from ensemble.runtime.garbage import relax_collector
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.runtime.signals import serve_until_signal


async def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    settings = RuntimeSettings.from_environment()
    logs.configure(settings.log_level, settings.log_format)
    host = host_of((options.service,), alone=True, settings=settings)

    def settled(failures: Mapping[str, str]) -> None:
        relax_collector()
        announce_failures(failures)

    await serve_until_signal(host, settled=settled)
    return 0
