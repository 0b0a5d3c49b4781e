"""The store of conversations from outside: backed up, restored, relieved of what is old."""

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
from ensemble.core.errors import ConfigurationError
from ensemble.core.services import environment_prefix
from ensemble.eventlog import (
    Backup,
    Dropped,
    PostgresEventLog,
    SqliteEventLog,
    StoredEventLog,
)
from ensemble.eventlog.sqlite_file import translate
from ensemble.launcher.table import counted
from ensemble.orchestrator.retention import KINDS
from ensemble.orchestrator.settings import OrchestratorSettings
from ensemble.runtime.settings import load

_POSTGRES: Final = ("postgresql://", "postgres://")


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


async def retain(options: argparse.Namespace) -> int:
    """Drop what is older than the person wants to keep."""
    if not options.yes:
        print("ensemble: this drops what is older for good; add --yes to do it.", file=sys.stderr)
        return 2
    store = _store_of(options)
    _refuse_absent(store)
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
        log = await SqliteEventLog.open(store)
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
        async with _held(copy) as log:
            yield log


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
