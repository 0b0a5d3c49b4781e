"""Runs services as processes of their own and starts a dead one again."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from ensemble.core.errors import ConfigurationError, EnsembleError
from ensemble.core.paths import ensure_private

_log = structlog.get_logger()

FIRST_PAUSE = 0.1
"""Seconds before a dead process is started again; doubles while it keeps dying young."""

LONGEST_PAUSE = 5.0
_YOUNG = 5.0
"""A process that lived shorter than this, in seconds, died young."""

_HOPELESS = 5
"""Times in a row that a process ends by itself, young, after which it will not come up."""

_GRACE = 10.0
"""Seconds that a process has to leave after SIGTERM."""

_FAILED = 1
"""Exit status of a command that could not do what it should."""

_SAYS = "ensemble: "
_LAST_BYTES = 8192

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Run in the child before exec: the kernel ends it when its parent dies (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _last_words(path: Path) -> str:
    """Return the error with which a command has ended, from the end of its log."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _LAST_BYTES))
        lines = log.read().decode(errors="replace").splitlines()
    said = [line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS)]
    return said[-1] if said else "it ends at once."


class Supervisor:
    """Keeps ``ensemble serve SERVICE`` running for each service.

    Args:
        services: Which ones.
        log_folder: Each process writes to ``SERVICE.log`` in it.
        environ: Environment of the processes.
    """

    def __init__(
        self, services: Sequence[str], log_folder: Path, environ: Mapping[str, str]
    ) -> None:
        self._services = tuple(services)
        self._logs = ensure_private(log_folder)
        self._environ = dict(environ)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._hopeless = asyncio.Event()
        self._failed = ""

    def process_id(self, service: str) -> int | None:
        """Return the process id of a service that runs now."""
        process = self._processes.get(service)
        return process.pid if process and process.returncode is None else None

    async def start(self) -> None:
        """Start all of them."""
        for service in self._services:
            await self._spawn(service)
        self._tasks = [asyncio.create_task(self._keep(name)) for name in self._services]

    async def _spawn(self, service: str) -> None:
        with (self._logs / f"{service}.log").open("ab") as log:
            self._processes[service] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ensemble.launcher",
                "serve",
                service,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C at the terminal reaches the supervisor alone.
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    async def _keep(self, service: str) -> None:
        pause, failures = FIRST_PAUSE, 0
        while True:
            begin = time.monotonic()
            status = await self._processes[service].wait()
            if self._stopping:
                return
            lived = time.monotonic() - begin
            pause = FIRST_PAUSE if lived > _YOUNG else min(pause * 2, LONGEST_PAUSE)
            failures = failures + 1 if status == _FAILED and lived <= _YOUNG else 0
            if failures >= _HOPELESS:
                self._failed = self._failed or service
                self._hopeless.set()
            _log.warning("service died", service=service, status=status, again_in=pause)
            await asyncio.sleep(pause)
            if self._stopping:
                return
            await self._spawn(service)

    async def hopeless(self) -> EnsembleError:
        """Wait until a process has failed to start again and again; return what it said."""
        await self._hopeless.wait()
        path = self._logs / f"{self._failed}.log"
        said = await asyncio.to_thread(_last_words, path)
        return ConfigurationError(f"{self._failed} ends again and again: {said} Its log is {path}.")

    async def stop(self) -> None:
        """Ask all to leave, the gateway first, and end those that do not."""
        self._stopping = True
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(p.wait()) for p in self._processes.values()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=_GRACE)
            if late:
                for process in self._processes.values():
                    if process.returncode is None:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(process.pid, signal.SIGKILL)
                await asyncio.wait(late, timeout=_GRACE)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
