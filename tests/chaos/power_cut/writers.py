"""The programs that append, seen from the test."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tests.chaos.power_cut.verdict import Place

_REPOSITORY = Path(__file__).parents[3]
_LONGEST_S = 20.0


class Writers:
    """Programs that append to a store, and what was acknowledged to them.

    Args:
        environment: What they have in their environment beside this process's.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self.acknowledged: dict[str, int] = {}

    def prepare(self, where: str, places: Mapping[str, Place]) -> None:
        """Start a writer of these streams, which waits for ``go``."""
        streams = [f"{name}={at.batch + 1},{at.seq + 1}" for name, at in places.items()]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.power_cut.writer", where, *streams],
            cwd=_REPOSITORY, env=self._environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        reader = threading.Thread(target=self._collect, args=(process.stdout,))
        reader.start()
        self._processes.append(process)
        self._readers.append(reader)

    def go(self) -> None:
        """Let them open the store and append."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()

    def _collect(self, lines: IO[bytes]) -> None:
        for line in lines:
            stream, number = line.decode().split()
            self.acknowledged[stream] = int(number)

    def run_until(self, off: Callable[[], bool]) -> None:
        """Wait for the power to go; a writer must not end before it."""
        end = time.monotonic() + _LONGEST_S
        while not off() and time.monotonic() < end:
            ended = [
                process.returncode for process in self._processes if process.poll() is not None
            ]
            assert not ended or off(), f"a writer ended by itself: {ended}"
            time.sleep(0.002)

    def kill(self) -> None:
        """Kill them all, and read what they still said."""
        for process in self._processes:
            process.kill()
        for process, reader in zip(self._processes, self._readers, strict=True):
            process.wait()
            reader.join()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
