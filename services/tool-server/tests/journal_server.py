"""A tool server in a process of its own, with tools that write into a journal.

Run as ``journal_server.py WORLD_ADDRESS ADDRESS JOURNAL PHASE``. When a call of ``deed`` gets
to the phase, the process says so on its standard output and stays there, to be killed.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from ensemble.runtime.host import Host
from ensemble.runtime.runtime_settings import RuntimeSettings
from ensemble.tool_server import app
from ensemble.tool_server.adapters.world_model import WorldModelWorld
from ensemble.tool_server.settings import Settings
from ensemble.tool_server.tool import Arguments, Result, Tool

PHASES = ("before-start", "after-start", "after-effect", "before-result", "after-result")
"""Of a call that must not be repeated, in order; what is kept durably lies in between."""


class Line(Arguments, frozen=True):
    """What to write."""

    line: str


class Written(Result, frozen=True):
    """Lines in the journal."""

    lines: int


async def reach(phase: str, wanted: str) -> None:
    """Stay here if this is where the process is to be killed."""
    if phase == wanted:
        print(phase, flush=True)
        await asyncio.Event().wait()


class Deed(Tool[Line, Written]):
    """Writes a line, and must not be repeated."""

    name = "deed"
    description = "Writes a line that must not come twice."
    arguments = Line
    result = Written

    def __init__(self, journal: Path, phase: str = "") -> None:
        self._journal = journal
        self._phase = phase

    async def run(self, arguments: Line, call: Any) -> Written:
        with self._journal.open("a") as file:
            file.write(f"{arguments.line}\n")
            file.flush()
            os.fsync(file.fileno())
        await reach("after-effect", self._phase)
        return Written(len(self._journal.read_text().splitlines()))


class Chore(Deed):
    """The same, and may be repeated."""

    name = "chore"
    description = "Writes a line."
    idempotent = True


def pausing(phase: str) -> None:
    """Make what the tool server keeps stop at ``phase``."""
    observe = WorldModelWorld.observe

    async def paused(self: WorldModelWorld, request_id: str, seen: Any) -> Any:
        if request_id.endswith(":started"):
            await reach("before-start", phase)
        if request_id.endswith(":kept"):
            await reach("before-result", phase)
        things = await observe(self, request_id, seen)
        if request_id.endswith(":started"):
            await reach("after-start", phase)
        if request_id.endswith(":kept"):
            await reach("after-result", phase)
        return things

    WorldModelWorld.observe = paused  # type: ignore[method-assign]


async def main(world: str, address: str, journal: Path, phase: str) -> None:
    """Serve until killed."""
    pausing(phase)
    tools = [Deed(journal, phase), Chore(journal, phase)]
    host = Host(
        {"tool-server": lambda peers: app.build(Settings(), peers, more=tools)},
        RuntimeSettings(),
        listen={"tool-server": [address]},
        environ={"ENSEMBLE_WORLD_MODEL_ADDRESS": world, "ENSEMBLE_TOOL_SERVER_ADDRESS": address},
    )
    async with host:
        await host.settled()
        print("serving", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
