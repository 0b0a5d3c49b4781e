"""llama.cpp in a child process that is watched and started again."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import grpc
import structlog

from ensemble.core.errors import EngineFailedError
from ensemble.model_router.adapters.remote import EngineLostError, chat_over
from ensemble.model_router.domain import Call, ModelEvent
from ensemble.model_router.ports import Condition, State
from ensemble.transport.channel import open_channel

_log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_PROVEN = 5.0
"""Seconds a child has to live before its next start is again quick."""
_LOAD_LIMIT = 120.0
_STDERR_CHUNK = 8192
_LOOK_AT_FILE = 1.0
_FAREWELL = 1.0
_PREFIX = "ensemble-llama-"

_RESTARTED = "The model's engine is being restarted."
_MISSING = "The model file {} is missing."


class SupervisedLlamaModel:
    """A GGUF that runs in a child process of its own.

    The child is started again when it dies, after a pause that grows from 50 ms; when the
    file appears, changes or comes back; and it ends with this process.

    Args:
        name: Name in the registry.
        path: The GGUF.
        context: Tokens to read and write together at most.
        threads: Threads that compute.
    """

    engine = "llama.cpp"
    can_continue = True

    def __init__(self, name: str, path: Path, *, context: int, threads: int) -> None:
        self._name = name
        self._path = path
        self._context = context
        self._threads = threads
        self._condition = Condition(State.STARTING, "The model is being loaded.")
        self._changed = asyncio.Condition()
        self._supervisor: asyncio.Task[None] | None = None
        self._channel: grpc.aio.Channel | None = None
        self._child: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        """Name in the registry."""
        return self._name

    @property
    def context_tokens(self) -> int:
        """Tokens it can read and write together."""
        return self._context

    @property
    def process_id(self) -> int | None:
        """Process id of the child, while one lives."""
        return self._child.pid if self._child is not None else None

    def condition(self) -> Condition:
        """Return whether it can answer now."""
        if _stamp(self._path) is None:
            return Condition(State.UNAVAILABLE, _MISSING.format(self._path.name))
        return self._condition

    async def start(self) -> None:
        """Start the child; returns when it serves or is known not to."""
        if self._supervisor is None:
            _sweep()
            self._supervisor = asyncio.create_task(self._supervise())
        await self._settled(_LOAD_LIMIT)

    async def ready(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a starting child."""
        await self._settled(timeout)
        return self.condition().state is State.READY

    async def close(self) -> None:
        """End the child."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor

    async def chat(self, call: Call) -> AsyncGenerator[ModelEvent, None]:
        """Answer in the child; see ``Model.chat``."""
        channel, child = self._channel, self._child
        if channel is None or child is None:
            raise EngineFailedError("The model's engine is being restarted.")
        try:
            async with contextlib.aclosing(chat_over(channel, call)) as events:
                async for event in events:
                    yield event
        except EngineLostError as lost:
            if self._child is child:
                # The socket is quicker than the news of the exit; a frozen child never exits.
                self._condition = Condition(State.STARTING, _RESTARTED)
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            raise EngineFailedError(str(lost)) from None

    async def _settled(self, timeout: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: self._condition.state is not State.STARTING)

    async def _become(self, state: State, reason: str = "") -> None:
        async with self._changed:
            self._condition = Condition(state, reason)
            self._changed.notify_all()

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            stamp = _stamp(self._path)
            if stamp is None:
                await self._become(State.UNAVAILABLE, _MISSING.format(self._path.name))
                await self._file_change(stamp)
                continue
            await self._become(State.STARTING, "The model is being loaded.")
            begun = loop.time()
            refusal = await self._run(stamp)
            if refusal is not None:
                await self._become(State.UNAVAILABLE, refusal)
                await self._file_change(stamp)
                pause = _FIRST_PAUSE
                continue
            if _stamp(self._path) != stamp:
                continue
            if loop.time() - begun > _PROVEN:
                pause = _FIRST_PAUSE
            await self._become(State.STARTING, _RESTARTED)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _run(self, stamp: object) -> str | None:
        """Run one child to its end; return why its model cannot be loaded, else None."""
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        socket = folder / "socket"
        child: asyncio.subprocess.Process | None = None
        told: asyncio.Task[None] | None = None
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ensemble.model_router.llama_child",
                "--socket", str(socket), "--model", str(self._path), "--name", self._name,
                "--context", str(self._context), "--threads", str(self._threads),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert child.stdout is not None
            assert child.stderr is not None
            told = asyncio.create_task(_tell(self._name, child.stderr))
            said = await asyncio.wait_for(child.stdout.readline(), _LOAD_LIMIT)
            news = json.loads(said) if said.strip() else {}
            if "context" not in news:
                code = await child.wait()
                _log.warning("model not loaded", model=self._name, exit_status=code)
                return str(
                    news.get("error")
                    or f"The model file {self._path.name} cannot be loaded: "
                    "the engine crashed while it read it."
                )
            self._child, self._context = child, int(news["context"])
            self._channel = open_channel(f"unix:{socket}")
            await self._become(State.READY)
            _log.info("model ready", model=self._name, process=child.pid)
            await self._watch(child, stamp)
            return None
        except TimeoutError:
            return f"The model file {self._path.name} took too long to load."
        finally:
            self._child = None
            if self._condition.state is State.READY:
                self._condition = Condition(State.STARTING, _RESTARTED)
            channel, self._channel = self._channel, None
            await asyncio.shield(_end(child, channel, folder))
            if told is not None:
                told.cancel()

    async def _watch(self, child: asyncio.subprocess.Process, stamp: object) -> None:
        """Wait until the child has died or its file is another one."""
        exited = asyncio.ensure_future(child.wait())
        try:
            while True:
                await asyncio.wait({exited}, timeout=_LOOK_AT_FILE)
                if exited.done():
                    _log.warning("engine died", model=self._name, exit_status=exited.result())
                    return
                if _stamp(self._path) != stamp:
                    _log.info("model file changed", model=self._name)
                    return
        finally:
            exited.cancel()

    async def _file_change(self, stamp: object) -> None:
        """Wait until the file is another one, and no longer being written."""
        while True:
            before = _stamp(self._path)
            await asyncio.sleep(_LOOK_AT_FILE)
            if before == _stamp(self._path) != stamp:
                return


async def _end(
    child: asyncio.subprocess.Process | None, channel: grpc.aio.Channel | None, folder: Path
) -> None:
    if channel is not None:
        await channel.close()
    if child is not None and child.returncode is None:
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), _FAREWELL)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    shutil.rmtree(folder, ignore_errors=True)


async def _tell(model: str, errors: asyncio.StreamReader) -> None:
    """Log what a child writes to its standard error, so that it never blocks on it."""
    while chunk := await errors.read(_STDERR_CHUNK):
        for line in chunk.decode(errors="replace").splitlines():
            _log.warning("engine wrote", model=model, line=line[:500])


def _stamp(path: Path) -> object:
    """Return what changes when the file does; None when it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _sweep() -> None:
    """Remove the socket folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
