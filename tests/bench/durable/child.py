"""One measure in a process of its own: ``python -m tests.bench.durable.child JSON``.

The JSON names the measure and what it is called with; the last line printed is what it found.
"""

import asyncio
import contextlib
import importlib.util
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ensemble.testkit.postgres import PostgresServer
from tests.bench.durable.engine import PACKAGES

Found = dict[str, float]

_PATIENCE_S = 120.0


def installed(name: str) -> bool:
    """Return whether a system can be measured; says so where it cannot."""
    package = name.partition("-")[0]
    module = PACKAGES.get(package)
    if module is None or importlib.util.find_spec(module.partition(".")[0]) is not None:
        return True
    print(f"{package} is not measured: it is not installed (uv sync --group bench)", flush=True)
    return False


class Stores:
    """Empty stores on this disk, made as they are asked for. Used as a context manager."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._count = 0
        self._postgres: PostgresServer | None = None

    async def __aenter__(self) -> "Stores":
        folder = tempfile.TemporaryDirectory(prefix="ens-")
        self.folder = Path(self._stack.enter_context(folder))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def file(self) -> str:
        """Return the path of a file that is not there yet."""
        self._count += 1
        return str(self.folder / f"store-{self._count}.db")

    @contextlib.asynccontextmanager
    async def postgres(self) -> AsyncIterator[str]:
        """Give the DSN of a database of a server whose commits wait for the disk."""
        if self._postgres is None:
            self._postgres = PostgresServer(durable=True)
            self._stack.callback(self._postgres.remove)
            await asyncio.to_thread(self._postgres.start)
        async with self._postgres.database() as dsn:
            yield dsn

    @contextlib.asynccontextmanager
    async def store(self, kind: str) -> AsyncIterator[str]:
        """Give an empty store.

        Args:
            kind: ``sqlite``, ``postgres``, ``tmpfs`` (a file in memory) or empty for none.
        """
        if kind == "postgres":
            async with self.postgres() as dsn:
                yield dsn
        elif kind == "tmpfs":
            with tempfile.TemporaryDirectory(prefix="ens-", dir="/dev/shm") as folder:
                yield f"{folder}/store.db"
        else:
            yield self.file() if kind else ""

    async def measure(self, measure: str, name: str, kind: str, **rest: Any) -> Found:
        """Measure a system in a process of its own.

        Returns:
            What was found; nothing where another system is not installed or takes too long.

        Raises:
            RuntimeError: It failed.
            TimeoutError: Ensemble takes too long.
        """
        if not installed(name):
            return {}
        async with self.store(kind) as store:
            asked = {"measure": measure, "name": name, "store": store, **rest}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.durable.child",
                json.dumps(asked),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    out, err = await process.communicate()
            except TimeoutError:
                if name.partition("-")[0] not in PACKAGES:
                    raise
                print(f"{measure} of {name} is not done in {_PATIENCE_S:.0f} s", flush=True)
                return {}
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise RuntimeError(f"{measure} of {name} failed: {err.decode()[-2000:]}")
        found: Found = json.loads(out.decode().splitlines()[-1])
        return found


async def _main(asked: dict[str, Any]) -> None:
    from tests.bench.durable.measures import MEASURES

    found = await MEASURES[asked.pop("measure")](**asked)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(_main(json.loads(sys.argv[1])))
