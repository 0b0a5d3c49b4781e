"""A whole Ensemble as a user runs it: real processes, real engines, a home of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ensemble.client import EnsembleClient
from ensemble.core.errors import EnsembleError
from ensemble.core.services import SERVICE_NAMES
from ensemble.testkit.ports import free_port

TOPOLOGIES = ("inproc", "unix", "tcp", "consul")
"""One process; seven over unix sockets; over fixed TCP ports; found through Consul."""

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Stack:
    """Starts, asks, kills and stops one Ensemble.

    Args:
        topology: One of TOPOLOGIES.
        folder: Where its home and logs go.
        consul: ``host:port`` of the agent for the topology "consul".
        environ: Settings on top of those that the topology makes.
    """

    def __init__(
        self,
        topology: str,
        folder: Path,
        *,
        consul: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.topology = topology
        self.folder = folder
        self.home = folder / "home"
        self.log = folder / "ensemble.log"
        self._process: subprocess.Popen[bytes] | None = None
        # Unix socket paths are limited to 107 bytes, and test folders are long.
        self._sockets = tempfile.TemporaryDirectory(prefix="ens-")
        self.address = f"127.0.0.1:{free_port()}"
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("ENSEMBLE_")},
            "ENSEMBLE_HOME": str(self.home),
            "ENSEMBLE_GATEWAY_ADDRESS": self.address,
            "NODE_ROLE": "standalone",
            **self._peers(consul),
            **(environ or {}),
        }
        self.environ.pop("CONSUL_HTTP_ADDR", None)
        if topology == "consul":
            self.environ["CONSUL_HTTP_ADDR"] = consul

    def _peers(self, consul: str) -> dict[str, str]:
        names = [name for name in SERVICE_NAMES if name != "gateway"]
        variable = {name: f"ENSEMBLE_{name.upper().replace('-', '_')}" for name in names}
        if self.topology == "unix":
            return {f"{variable[n]}_ADDRESS": f"unix:{self._sockets.name}/{n}" for n in names}
        if self.topology == "tcp":
            return {f"{variable[n]}_ADDRESS": f"127.0.0.1:{free_port()}" for n in names}
        if self.topology == "consul":
            return {f"{variable[n]}_LISTEN": f"127.0.0.1:{free_port()}" for n in names}
        return {}

    @property
    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "ensemble.launcher", "up"]
        return command if self.topology == "inproc" else [*command, "--distributed"]

    async def start(self) -> None:
        """Start it and wait until every service serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        await self.wait_serving()

    async def wait_serving(self, timeout: float = _START_SECONDS) -> None:
        """Wait until every service serves; AssertionError with the log's end otherwise."""
        end = time.monotonic() + timeout
        seen: Any = None
        while time.monotonic() < end:
            assert self._process is not None
            assert self._process.poll() is None, f"it ended: {self.log_tail()}"
            with contextlib.suppress(EnsembleError):
                async with self.client() as client:
                    rows = await client.status()
                seen = [(row.name, row.state, row.detail) for row in rows]
                if all(row.state == "serving" for row in rows):
                    return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not serving after {timeout} s: {seen}\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the end of every log."""
        logs = [self.log, *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}"
            for log in logs
            if log.exists()
        )

    def client(self) -> EnsembleClient:
        """Return a client of its gateway, to be entered."""
        key = self.home / "api-key"
        return EnsembleClient(
            self.address, api_key=key.read_text().strip() if key.exists() else "none"
        )

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit status."""
        assert self._process is not None
        self._process.send_signal(sign)
        try:
            status = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not leave: {self.log_tail()}") from None
        finally:
            self._process = None
        return status

    def close(self) -> None:
        """End it if it still runs, and remove its sockets."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self._sockets.cleanup()

    async def restart(self) -> None:
        """Stop it in order and start it again on the same home."""
        self.stop()
        await self.start()

    def process_id(self, service: str) -> int:
        """Return the process that runs ``service``."""
        assert self._process is not None
        if self.topology == "inproc":
            return self._process.pid
        found = subprocess.run(
            ["pgrep", "-P", str(self._process.pid), "-f", f"serve {service}$"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        assert found, f"no process serves {service}: {self.log_tail()}"
        return int(found[0])

    async def command(self, *arguments: str, timeout: float = 60.0) -> tuple[int, str, str]:
        """Run ``ensemble ARGUMENTS`` against it; return status, stdout and stderr."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ensemble.launcher",
            *arguments,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out.decode(), err.decode()

    async def ask(self, text: str) -> dict[str, Any]:
        """Run ``ensemble ask --json`` and return what it prints."""
        status, out, err = await self.command("ask", "--json", text)
        assert status == 0, f"{err}\n{self.log_tail()}"
        return dict(json.loads(out))
