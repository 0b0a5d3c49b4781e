"""A tool that must not run twice, and that tells how often it did."""

import asyncio
import os
from pathlib import Path

from ensemble.testkit.chaos.script import TOOL
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool

BEFORE_S = 0.15
AFTER_S = 0.1
"""Seconds of work before and after the line is written."""


class JournalArguments(Arguments, frozen=True):
    """What to write."""

    entry: str


class JournalResult(Result, frozen=True):
    """What was written."""

    entry: str


class Journal(Tool[JournalArguments, JournalResult]):
    """Appends a line to a file, each time that it runs.

    Args:
        path: The file.
    """

    name = TOOL
    description = "Writes a line into a journal."
    arguments = JournalArguments
    result = JournalResult
    examples = ('{"entry": "c1q1"}',)

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, arguments: JournalArguments, call: CallInfo) -> JournalResult:
        await asyncio.sleep(BEFORE_S)
        # One write with O_APPEND: a kill leaves the whole line or none.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, f"{arguments.entry} {call.identity}\n".encode())
        finally:
            os.close(file)
        await asyncio.sleep(AFTER_S)
        return JournalResult(arguments.entry)


def entries(path: Path) -> list[str]:
    """Return what was written, in order."""
    if not path.exists():
        return []
    return [line.split(" ")[0] for line in path.read_text().splitlines()]
