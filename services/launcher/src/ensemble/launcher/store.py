"""The store of conversations from outside: backed up, restored, checked, emptied of old."""

import argparse
import asyncio
import contextlib
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from ensemble import eventlog
from ensemble.core.errors import (
    ConfigurationError,
    EnsembleError,
    StorageCorruptError,
    StorageLockedError,
)
from ensemble.core.services import environment_prefix
from ensemble.eventlog import (
    Backup,
    Dropped,
    PostgresEventLog,
    SqliteEventLog,
    StoredEventLog,
)
from ensemble.eventlog.records import Batch, DamagedRecordError, Sums
from ensemble.eventlog.sqlite_file import translate
from ensemble.launcher.consent import agreed
from ensemble.launcher.table import counted
from ensemble.orchestrator.retention import KINDS
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.runtime.settings import load

_POSTGRES: Final = ("postgresql://", "postgres://")
_PAGE: Final = 500


async def backup(options: argparse.Namespace) -> int:
    """Write a backup; the assistant may run."""
    path = _path(options.file)
    with _progress("backed up", options) as progress:
        async with _looked_at(_store_of(options), path.parent) as log:
            made = await eventlog.backup(log, path, progress=progress)
    return _report(options, "Backed up", made, f"into {path}")


async def restore(options: argparse.Namespace) -> int:
    """Restore a backup into an empty store."""
    path = _path(options.file)
    with _progress("restored", options) as progress:
        async with _held(_store_of(options)) as log:
            made = await eventlog.restore(path, log, progress=progress)
    return _report(options, "Restored", made, f"from {path}")


async def verify(options: argparse.Namespace) -> int:
    """Check every chain in a store; the assistant may run."""
    store = _store_of(options)
    folder = store.parent if isinstance(store, Path) else Path()
    sums, readable = Sums(), True
    with _progress("checked", options) as progress:
        async with _looked_at(store, folder) as log:
            try:
                async with log.snapshot_of_all() as whole:
                    async for batch in whole.records:
                        await asyncio.to_thread(_take, sums, batch)
                        progress(sums.events, whole.events)
                sums.end_stream()
                damaged = [(each.kind, each.name) for each in sums.damaged]
            except (StorageCorruptError, DamagedRecordError):
                readable = False
                damaged = await _search(log)
    return _report_checked(options, sums, damaged, readable)


def _take(sums: Sums, batch: Batch) -> None:
    for _ in sums.add(batch):
        pass


async def _search(log: StoredEventLog) -> list[tuple[str, str]]:
    """Return the streams that are damaged, looked for one by one."""
    damaged = []
    for kind in KINDS:
        before = None
        while heads := await log.heads(kind, before=before, limit=_PAGE):
            before = heads[-1].position
            for head in heads:
                try:
                    intact = (await log.audit(head.stream)).intact
                except StorageCorruptError:
                    intact = False
                if not intact:
                    damaged.append((kind, head.stream.name))
    return damaged


def _report_checked(
    options: argparse.Namespace, sums: Sums, damaged: list[tuple[str, str]], readable: bool
) -> int:
    if options.json:
        rows = [{"kind": kind, "name": name} for kind, name in damaged]
        counts = {"streams": sums.streams, "events": sums.events, "damaged": rows}
        print(json.dumps({**counts, "readable": readable}))
    else:
        for kind, name in damaged:
            print(f"BROKEN  {kind} {name}")
        if not readable:
            print(
                "ensemble: parts of the store cannot be read; its streams were looked at one by "
                "one.",
                file=sys.stderr,
            )
        else:
            print(
                f"Checked {counted(sums.events, 'event')} of {counted(sums.streams, 'stream')}: "
                f"{len(damaged) or 'none'} broken."
            )
    return 1 if damaged or not readable else 0


async def retain(options: argparse.Namespace) -> int:
    """Drop what is older than the person wants to keep."""
    store = _store_of(options)
    _refuse_absent(store)
    if not agreed(options, "this drops the sessions whose last event is older, for good."):
        return 2
    before = time.time_ns() - int(options.older_than.total_seconds() * 1e9)
    async with _held(store) as log:
        dropped = [await log.drop(kind, before=before) for kind in KINDS]
    return _report_dropped(options, dropped)


def _report_dropped(options: argparse.Namespace, dropped: list[Dropped]) -> int:
    sessions, events = dropped[0].streams, sum(each.events for each in dropped)
    damaged = [each.name for one in dropped for each in one.damaged]
    if options.json:
        print(json.dumps({"sessions": sessions, "events": events, "damaged": damaged}))
    else:
        print(f"Dropped {counted(sessions, 'session')}, {counted(events, 'event')} in all.")
        for name in damaged:
            print(
                f"ensemble: the chain of {name} is broken; it stays to be looked at.",
                file=sys.stderr,
            )
    return 1 if damaged else 0


def _report(options: argparse.Namespace, done: str, made: Backup, where: str) -> int:
    damaged = [each.name for each in made.damaged]
    if options.json:
        counts = {"streams": made.streams, "events": made.events, "bytes": made.size}
        print(json.dumps({**counts, "damaged": damaged}))
    else:
        sums = f"{counted(made.events, 'event')} of {counted(made.streams, 'stream')}"
        print(f"{done} {sums} {where} ({counted(made.size, 'byte')}).")
        for name in damaged:
            print(f"ensemble: the chain of {name} was broken before.", file=sys.stderr)
    return 1 if damaged else 0


def _path(name: str) -> Path:
    return Path(name).absolute()


def _store_of(options: argparse.Namespace) -> str | Path:
    """Return the Postgres URL or the file that is meant.

    Raises:
        ConfigurationError: It is neither.
    """
    settings = load(OrchestratorSettings, environment_prefix("orchestrator"))
    named = options.store or settings.store
    if named.startswith(_POSTGRES):
        return str(named)
    if "://" in named:
        raise ConfigurationError("The store is neither a postgresql:// URL nor a file.")
    return _path(named) if named else settings.log_path().absolute()


@asynccontextmanager
async def _held(store: str | Path) -> AsyncIterator[StoredEventLog]:
    log: StoredEventLog
    if isinstance(store, str):
        log = await PostgresEventLog.open(store)
    else:
        try:
            log = await SqliteEventLog.open(store)
        except StorageLockedError as error:
            holder = error.metadata.get("pid", "unknown")
            raise StorageLockedError(
                f"Process {holder} already uses {store}. Stop it first.", metadata=error.metadata
            ) from error
    try:
        yield log
    finally:
        await log.close()


@asynccontextmanager
async def _looked_at(store: str | Path, folder: Path) -> AsyncIterator[StoredEventLog]:
    """Show the store as it is. A file is copied first: its holder goes on writing."""
    if isinstance(store, str):
        async with _held(store) as log:
            yield log
        return
    _refuse_absent(store)
    try:
        copies = tempfile.TemporaryDirectory(prefix=".ensemble-backup-", dir=folder)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}.") from error
    with copies as made:
        copy = Path(made) / "log.db"
        await asyncio.to_thread(_copy, store, copy)
        try:
            async with _held(copy) as log:
                yield log
        except EnsembleError as error:
            if str(copy) not in error.message:
                raise
            # The copy is gone by the time that somebody reads this.
            message = error.message.replace(str(copy), str(store))
            raise type(error)(message, metadata={"file": str(store)}) from error


def _refuse_absent(store: str | Path) -> None:
    if isinstance(store, Path) and not store.is_file():
        raise ConfigurationError(
            f"There is no log at {store}. Set ENSEMBLE_HOME to where the assistant keeps "
            "things, or name the store with --store."
        )


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=10)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            reading.execute("PRAGMA query_only = ON")
            reading.backup(writing)
    except sqlite3.Error as error:
        raise translate(error, source) from error


@contextlib.contextmanager
def _progress(done: str, options: argparse.Namespace) -> Iterator[Callable[[int, int], None]]:
    """Give what shows on a terminal how far it is."""
    shown: list[Any] = []

    def show(events: int, total: int) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and not options.json and (not shown or now - shown[-1] >= 0.1):
            shown[:] = [now]
            print(f"\r{done} {events} of {total} events", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
