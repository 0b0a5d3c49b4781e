"""What both placements cost: memory in one process and in seven, and the cold start.

The weights of the model, and llama.cpp with them, live in a child process, which is told
apart; the cold start is without it (``RUN_LOCAL_LLM=false``), beside a process that only
imports the libraries that it is made of.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ensemble.client.voice import Recording, talk
from ensemble.core.errors import EnsembleError
from ensemble.core.services import SERVICE_NAMES
from ensemble.testkit.fixtures import speak
from ensemble.testkit.stack import Stack
from tests.bench.processes import children, descendants, memory, total
from tests.bench.report import Row, percentile, row

_RATE = 16_000
_POLL = 0.01
_PATIENCE = 30.0
_LIBRARIES = "import grpc.aio, jsonschema, numpy, pocketsphinx, sqlite3, structlog"


async def run(quick: bool) -> list[Row]:
    """Start each placement in a home of its own and look at its processes."""
    with tempfile.TemporaryDirectory(prefix="ens-") as name:
        folder = Path(name)
        return [
            *await _cold_starts(folder, 2 if quick else 8),
            *await _colocated(folder / "one"),
            *await _distributed(folder / "seven"),
        ]


async def _cold_starts(folder: Path, times: int) -> list[Row]:
    took, imports = [], []
    for number in range(times + 1):
        # The home stays, as it does on a real machine; the first start makes it.
        stack = Stack("inproc", folder / "cold", environ={"RUN_LOCAL_LLM": "false"})
        try:
            seconds, without_voice = await _start(stack)
        finally:
            stack.close()
        if number:
            took.append(seconds)
            imports.append(await _import_time())
    return [
        row(
            "cold_start.p50",
            percentile(took, 0.5),
            "s",
            baseline=percentile(imports, 0.5),
            goal="<= 1.0",
        ),
        row("cold_start.worst", max(took), "s"),
        row("colocated.rss_without_model", without_voice, "MB"),
    ]


async def _import_time() -> float:
    """Return the seconds that a process takes to import the libraries alone."""
    begin = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _LIBRARIES)
    if await process.wait():
        raise RuntimeError("the libraries could not be imported")
    return time.monotonic() - begin


async def _start(stack: Stack) -> tuple[float, float]:
    """Return the seconds from exec until all serve, and the RSS then in MB."""
    begin = time.monotonic()
    stack.folder.mkdir(parents=True, exist_ok=True)
    with stack.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ensemble.launcher", "up"],
            env=stack.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        while not await _all_serve(stack):
            if process.poll() is not None or time.monotonic() - begin > _PATIENCE:
                raise RuntimeError(f"it did not come up: {stack.log_tail()}")
            await asyncio.sleep(_POLL)
        return time.monotonic() - begin, memory(process.pid).rss
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)


async def _all_serve(stack: Stack) -> bool:
    host, _, port = stack.address.rpartition(":")
    try:
        # Cheaper than a call while nobody listens: the start has the processor to itself.
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(EnsembleError):
        async with stack.client() as client:
            return all(each.state == "serving" for each in await client.status())
    return False


async def _colocated(folder: Path) -> list[Row]:
    stack = Stack("inproc", folder)
    try:
        await stack.start()
        pid = stack.process_id("gateway")
        before = memory(pid)
        await _speak_to(stack)
        after = memory(pid)
        apart = total(descendants(pid))
        return [
            row("colocated.rss_before_voice", before.rss, "MB", goal="<= 80"),
            row("colocated.rss_after_voice", after.rss, "MB", goal="<= 140"),
            row("colocated.pss_after_voice", after.pss, "MB"),
            row("colocated.model_child.rss", apart.rss, "MB"),
            row("colocated.model_child.pss", apart.pss, "MB"),
        ]
    finally:
        stack.close()


async def _distributed(folder: Path) -> list[Row]:
    stack = Stack("tcp", folder)
    try:
        await stack.start()
        services = {name: stack.process_id(name) for name in SERVICE_NAMES}
        rows = [
            row("seven.pss_before_voice", total(list(services.values())).pss, "MB", goal="<= 260")
        ]
        rows += [row(f"seven.{name}.pss", memory(pid).pss, "MB") for name, pid in services.items()]
        models = [child for pid in services.values() for child in children(pid)]
        rows.append(row("seven.model_child.pss", total(models).pss, "MB"))
        await _speak_to(stack)
        rows.append(row("seven.pss_after_voice", total(list(services.values())).pss, "MB"))
        return rows
    finally:
        stack.close()


async def _speak_to(stack: Stack) -> None:
    question = speak("what time is it", rate=_RATE, lead=0.3, tail=0.3)
    async with stack.client() as client:
        await talk(client, Recording(question.tobytes(), _RATE, 1))
