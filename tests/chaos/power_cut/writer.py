"""A program that appends until it is killed, and says what was acknowledged.

    python -m tests.chaos.power_cut.writer WHERE STREAM=NEXT_BATCH,NEXT_SEQ...

``WHERE`` is an SQLite file, or a Postgres DSN; it is opened once a line came on standard input.
For each batch that was acknowledged, a line ``STREAM BATCH`` is printed. To weaken a store,
``POWER_CUT_PRAGMA`` is a pragma for the writing connection to an SQLite file, and
``POWER_CUT_COMMIT`` the ``synchronous_commit`` of Postgres.
"""

import asyncio
import os
import sys
from pathlib import Path

from ensemble.eventlog import EventLog, PostgresEventLog, SqliteEventLog
from ensemble.eventlog import postgres_database as database
from ensemble.eventlog.sqlite_file import SqliteFile
from ensemble.eventlog.sqlite_schema import MIGRATIONS
from tests.chaos.power_cut.workload import batch


class CarelessFile(SqliteFile):
    """Does not wait for the disk as it should."""

    def _set_modes(self) -> None:
        super()._set_modes()
        self.writer.execute(f"PRAGMA {os.environ['POWER_CUT_PRAGMA']}")


async def _open(where: str) -> EventLog:
    if where.startswith("postgresql:"):
        if commit := os.environ.get("POWER_CUT_COMMIT"):
            database._SESSION["synchronous_commit"] = commit
        return await PostgresEventLog.open(where)
    if "POWER_CUT_PRAGMA" in os.environ:
        file = CarelessFile(Path(where), migrations=MIGRATIONS)
        return SqliteEventLog(file, queue_limit=64)
    return await SqliteEventLog.open(Path(where))


async def _write(log: EventLog, stream: str, number: int, first: int) -> None:
    while True:
        due = batch(stream, number, first)
        seqs = await log.append(due.appends)
        assert seqs[:-1] == list(range(due.first, due.last + 1))
        # One short write is never torn, and a pipe needs no sync.
        os.write(sys.stdout.fileno(), f"{stream} {number}\n".encode())
        number, first = number + 1, due.last + 1


async def _main(where: str, streams: list[str]) -> None:
    log = await _open(where)
    async with asyncio.TaskGroup() as group:
        for entry in streams:
            stream, _, place = entry.partition("=")
            number, first = map(int, place.split(","))
            group.create_task(_write(log, stream, number, first))


if __name__ == "__main__":
    sys.stdin.readline()  # until the store is there
    asyncio.run(_main(sys.argv[1], sys.argv[2:]))
