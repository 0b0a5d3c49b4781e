"""Starts, kills and restarts the processes of a stack through the fork server."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0
_ENDS_SECONDS = 15.0


@dataclass
class Child:
    """One forked process."""

    pid: int
    ended: asyncio.Future[int]

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal unless it has ended."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sign)


class Zygote:
    """The fork server, see ``fork_server``."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._started: dict[int, asyncio.Future[int]] = {}
        self._ended: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.fork_server",
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            assert json.loads(await self._process.stdout.readline()) == {"ready": True}
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Its children go with it: each asked the kernel for that.
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_ENDS_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def fork(self, what: str, environ: Mapping[str, str], log: Path) -> Child:
        """Have ``what`` served by a new process."""
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        started = self._started[number] = loop.create_future()
        ended = self._ended[number] = loop.create_future()
        order = {"serve": what, "id": number, "environ": dict(environ), "log": str(log)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return Child(await started, ended)

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            said: dict[str, Any] = json.loads(line)
            if "pid" in said:
                self._started.pop(said["id"]).set_result(said["pid"])
            else:
                self._ended.pop(said["id"]).set_result(said["ended"])


@dataclass
class Kept:
    """A process that is started again whenever it ends.

    Attributes:
        service: What it serves.
        pause_s: Seconds before it is started again.
        hold: While cleared it is not started again.
    """

    service: str
    environ: Mapping[str, str]
    log: Path
    pause_s: float = 0.1
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    child: Child | None = None
    _task: asyncio.Task[None] | None = None
    _up: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, zygote: Zygote) -> None:
        """Start it and keep it."""
        self.hold.set()
        self._task = asyncio.create_task(self._keep(zygote))

    async def _keep(self, zygote: Zygote) -> None:
        while True:
            await self.hold.wait()
            self.child = await zygote.fork(self.service, self.environ, self.log)
            self._up.set()
            await asyncio.shield(self.child.ended)
            self._up.clear()
            await asyncio.sleep(self.pause_s)

    async def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the process; waits until there is one."""
        await self._up.wait()
        assert self.child is not None
        self.child.signal(sign)

    async def end(self) -> None:
        """End it for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.child is not None:
            self.child.signal(signal.SIGCONT)
            self.child.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_ENDS_SECONDS):
                    await asyncio.shield(self.child.ended)
            except TimeoutError:
                self.child.signal(signal.SIGKILL)
