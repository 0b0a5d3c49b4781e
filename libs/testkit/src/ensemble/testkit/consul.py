"""A Consul agent in development mode on ports of its own."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path

from ensemble.testkit.ports import free_port

_START_SECONDS = 20.0


class ConsulAgent:
    """Starts, stops and restarts one agent; it forgets everything when it stops."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it leads."""
        config = {
            "ports": {
                "http": self._port,
                "dns": -1,
                "grpc": -1,
                "grpc_tls": -1,
                "serf_lan": free_port(),
                "serf_wan": -1,
                "server": free_port(),
            },
            "bind_addr": "127.0.0.1",
            "node_name": "test",
        }
        path = self._folder / "agent.json"
        path.write_text(json.dumps(config))
        with (self._folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "agent", "-dev", f"-config-file={path}"], stdout=log, stderr=log
            )
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            try:
                if self._get("/v1/status/leader"):
                    return
            except OSError:
                time.sleep(0.1)
        log_end = (self._folder / "agent.log").read_text()[-1000:]
        raise AssertionError(f"Consul did not start: {log_end}")

    def _get(self, path: str) -> object:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=2) as answer:
            return json.load(answer)

    def services(self) -> set[str]:
        """Return the names of the services that are registered."""
        catalogue = self._get("/v1/catalog/services")
        assert isinstance(catalogue, dict)
        return set(catalogue)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def restart(self) -> None:
        """End it and start it on the same port, empty."""
        self.stop()
        self.start()
