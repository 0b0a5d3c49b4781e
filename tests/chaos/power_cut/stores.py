"""The two stores, on a disk that forgets."""

import abc
import asyncio
import atexit
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from ensemble.core.errors import EnsembleError
from ensemble.eventlog import EventLog, PostgresEventLog, SqliteEventLog
from ensemble.testkit.postgres import PostgresServer
from tests.chaos.power_cut.lossy_disk.disk import Disk
from tests.chaos.power_cut.verdict import Place
from tests.chaos.power_cut.writers import Writers

_ROOM = 2 << 30
# What was synced before the cut may still be acknowledged after it.
_GRACE_S = 0.02
_IPC_RMID = 0


class CannotOpenError(Exception):
    """A store that lost power cannot be used any more."""


def quick_folder() -> Path | None:
    """Return where copies of a whole server cost least; None for the temporary folder.

    What a disk keeps is played: the real one may as well be memory.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        free = shutil.disk_usage(memory).free
        return memory if free > _ROOM else None
    return None


class Store(abc.ABC):
    """A log on a disk whose power can be cut.

    Attributes:
        streams: Names of the streams that are written.
    """

    disk: Disk
    streams: tuple[str, ...]

    @abc.abstractmethod
    def write_until_cut(
        self, places: Mapping[str, Place], changes: int, *, early: bool
    ) -> dict[str, int]:
        """Switch the power on, append, and kill everything when the power goes.

        Args:
            places: Where each stream stands.
            changes: After how many changes to the disk the power goes.
            early: They are counted from the start of the server, not from when it is up.

        Returns:
            The last acknowledged batch of each stream that had one.
        """

    @abc.abstractmethod
    def opened(self) -> contextlib.AbstractAsyncContextManager[EventLog]:
        """Open a copy of what survived.

        Raises:
            CannotOpenError: It cannot be opened.
        """

    @abc.abstractmethod
    def remove(self) -> None:
        """Free everything."""


class SqliteStore(Store):
    """One file, one process, several writers in it.

    Args:
        file: Where it is on the disk.
        pragma: Of each connection, such as ``synchronous = OFF``, which weakens it.
    """

    def __init__(self, *, file: str = "log.db", pragma: str = "") -> None:
        folder = self._folder = Path(tempfile.mkdtemp(prefix="ensemble-", dir=quick_folder()))
        self.disk = Disk(folder / "disk")
        self._file = file
        self.streams = tuple(f"s{number}" for number in range(6))
        self._copy = folder / "copy"
        self._weakened = {"POWER_CUT_PRAGMA": pragma} if pragma else {}

    def write_until_cut(
        self, places: Mapping[str, Place], changes: int, *, early: bool
    ) -> dict[str, int]:
        environment = self.disk.power_on(changes)  # there is no server: both are the same
        writers = Writers({**environment, **self._weakened})
        try:
            writers.prepare(str(self.disk.root / self._file), places)
            writers.go()
            writers.run_until(lambda: self.disk.off)
            self.disk.cut()
            time.sleep(_GRACE_S)
        finally:
            writers.kill()
        return writers.acknowledged

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[EventLog]:
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self.disk.kept, self._copy)
        try:
            log = await SqliteEventLog.open(self._copy / self._file)
        except EnsembleError as exc:
            raise CannotOpenError(str(exc)) from exc
        try:
            yield log
        finally:
            await log.close()

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


_SETTINGS = {
    # Everything that writes does so often, and little stays in memory.
    "shared_buffers": "1MB",
    "max_wal_size": "4MB",
    "min_wal_size": "2MB",
    "bgwriter_delay": "10ms",
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_threshold": "5",
    # Reads by other means than calls of libc cannot go wrong here, but the layer need not care.
    "io_method": "sync",
    # In the data folder, with which it goes.
    "dynamic_shared_memory_type": "mmap",
}


def _kill_those_in(folder: Path) -> None:
    """Kill what a server started at the last moment: it would wait for its disk for ever."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd") == str(folder):
                os.kill(int(process.name), signal.SIGKILL)


def _free_memory(creator: int) -> None:
    """Remove the shared memory that a killed server left.

    The next one would only find it if it had the same folder; each has a new one.
    """
    libc = ctypes.CDLL(None)
    for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        _, segment, _, _, owner, *_ = map(int, row.split())
        if owner == creator:
            libc.shmctl(segment, _IPC_RMID, None)


class _Judge(PostgresServer):
    """Opens copies of what survived."""

    def panicked(self) -> bool:
        """Whether a start since the last ``forget`` found data that are of no use."""
        return b"PANIC" in (self.folder / "log").read_bytes()

    def forget(self) -> None:
        """Put away the copy that was opened last."""
        shutil.rmtree(self.data, ignore_errors=True)
        (self.folder / "log").unlink(missing_ok=True)


@functools.cache
def _judge() -> _Judge:
    judge = _Judge(durable=False, below=quick_folder())
    atexit.register(judge.remove)
    return judge


class PostgresStore(Store):
    """A server, and several processes that write to it.

    Args:
        durable: ``fsync`` of the server.
        settings: More of the server's settings.
        commit: ``synchronous_commit`` of the writers, where it is not the log's own.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        commit: str = "",
    ) -> None:
        small = ["--wal-segsize=1"]
        self._server = PostgresServer(
            durable=durable,
            settings={**_SETTINGS, **(settings or {})},
            initdb=small,
            below=quick_folder(),
        )
        self.disk = Disk(self._server.folder / "disk", own_name_with_file=True)
        self.disk.kept.rmdir()
        self._server.data.rename(self.disk.kept)
        self._server.data = self.disk.root
        self._judge = _judge()
        self.streams = tuple(f"p{number}" for number in range(8))
        self._weakened = {"POWER_CUT_COMMIT": commit} if commit else {}

    def write_until_cut(
        self, places: Mapping[str, Place], changes: int, *, early: bool
    ) -> dict[str, int]:
        self._boot()
        self._server.environment = self.disk.power_on(changes if early else 0)
        writers = Writers(self._weakened)
        halves = [dict(list(places.items())[start::2]) for start in (0, 1)]
        try:
            for half in halves:
                writers.prepare(self._server.dsn("postgres"), half)
            if self._start():
                if not early:
                    self.disk.cut_after(changes)
                writers.go()
                writers.run_until(lambda: self.disk.off)
            self.disk.cut()
            time.sleep(_GRACE_S)
        finally:
            writers.kill()
            pid = self._server.pid
            self._server.kill()
            _kill_those_in(self.disk.root)
            _free_memory(pid)
        return writers.acknowledged

    def _boot(self) -> None:
        """Do what a machine's start does for a server: take away what only names processes.

        Postgres asks for it by hand where the power went while it made these two files.
        """
        (self.disk.kept / "postmaster.pid").unlink(missing_ok=True)
        for left in self._server.folder.glob(".s.PGSQL.*"):
            left.unlink()

    def _start(self) -> bool:
        """Start the server; False if the power went before it was up."""
        try:
            self._server.start(give_up=lambda: self.disk.off)
        except AssertionError:
            if not self.disk.off:
                raise
            return False
        return True

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[EventLog]:
        self._boot()
        judge = self._judge
        judge.forget()
        subprocess.run(["cp", "-a", self.disk.kept, judge.data], check=True)
        try:
            await asyncio.to_thread(judge.start, give_up=judge.panicked)
            log = await PostgresEventLog.open(judge.dsn("postgres"))
        except (AssertionError, EnsembleError) as exc:
            raise CannotOpenError(str(exc)) from exc
        try:
            yield log
        finally:
            await log.close()
            await asyncio.to_thread(judge.stop)

    def remove(self) -> None:
        self._server.remove()
