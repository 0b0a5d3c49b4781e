"""Backup of a log while it is written to, and restoring, also into another kind of store.

``await backup(log, path)`` and ``await restore(path, log)`` work with every ``StoredEventLog``:
what was backed up from SQLite is restored into Postgres and the other way round.

The file is gzip over lines of JSON. The first line says what it is::

    {"format":"ensemble-log","version":2,"created_at":<ns>,"streams":<n>,"events":<n>}

Then comes a line a record (``ensemble.eventlog.records``): ``[table, column, ...]``, bytes in
base64. The last line, without which the file was cut off, is::

    {"sha256":"<of all lines between>","damaged":[[kind,name],...]}

``damaged`` names streams whose chain was already broken when they were backed up. The file holds
what was said in full, together with the secrets of the streams, and is made readable for its
owner only. What is erased from the log afterwards is still in its backups.

Files of version 1, which have a record for each event, are restored as well.
"""

import asyncio
import contextlib
import errno
import gzip
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from ensemble.core.errors import (
    StorageCorruptError,
    StorageFullError,
    StorageUnavailableError,
)
from ensemble.eventlog.event_log import StreamKey
from ensemble.eventlog.records import PAGE, Batch, DamagedRecordError, Sums, decode
from ensemble.eventlog.records_version_1 import Types, decode_version_1
from ensemble.eventlog.stored_event_log import StoredEventLog

FORMAT: Final = "ensemble-log"
VERSION: Final = 2
_ONE_BY_ONE: Final = 1

Progress = Callable[[int, int], None]
"""Called on the loop with how many events are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was backed up or restored.

    Attributes:
        size: Of the file, in bytes.
        damaged: Streams whose chain is broken; they are kept as they were found.
    """

    streams: int
    events: int
    size: int
    damaged: tuple[StreamKey, ...]


async def backup(log: StoredEventLog, path: Path, *, progress: Progress | None = None) -> Backup:
    """Write everything that ``log`` has at this moment into ``path``; appends go on.

    A file that is there is replaced once the new one is complete and on the disk.

    Raises:
        StorageFullError: The disk under ``path`` is full.
        StorageUnavailableError: ``path`` cannot be written, or the log cannot be read.
        StorageCorruptError: The store of ``log`` is damaged so that it cannot be read.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with _errors(path):
            writer = await asyncio.to_thread(_Writer, partial)
        try:
            async with log.snapshot_of_all() as view:
                with _errors(path):
                    await asyncio.to_thread(writer.begin, view.streams, view.events)
                async for batch in view.records:
                    with _errors(path):
                        await asyncio.to_thread(writer.write, batch)
                    if progress is not None:
                        progress(writer.sums.events, view.events)
            with _errors(path):
                await asyncio.to_thread(writer.end, path)
        finally:
            await asyncio.to_thread(writer.close)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return _result(writer.sums, writer.size)


async def restore(path: Path, log: StoredEventLog, *, progress: Progress | None = None) -> Backup:
    """Write everything that is in ``path`` into ``log``, which must be empty.

    The file is read to its end and its chains are checked before anything is written. It is
    written in one transaction, which ends only once the store gave back the same. Whoever held
    a stream is dead, so that it can be claimed.

    Raises:
        StorageNotEmptyError: The log was written to already.
        StorageCorruptError: The file is no backup, is damaged, was cut off, or is of a newer
            version; or the store did not give back what was written.
        StorageFullError: The disk under the log is full.
        StorageUnavailableError: ``path`` cannot be read, or the log cannot be written.
    """
    loop = asyncio.get_running_loop()
    types = await asyncio.to_thread(_check, path)
    reader = await asyncio.to_thread(_Reader, path, types)
    try:

        def batches() -> Iterator[Batch]:
            for batch in reader.batches():
                yield batch
                if progress is not None:
                    loop.call_soon_threadsafe(progress, reader.sums.events, reader.events)

        await log.load(batches(), reader.sums)
    finally:
        await asyncio.to_thread(reader.close)
    return _result(reader.sums, reader.size)


def _check(path: Path) -> Types:
    """Read a file to its end; return the types that its events have, if it does not say so."""
    reader = _Reader(path)
    try:
        for _ in reader.batches():
            pass
    finally:
        reader.close()
    return reader.types


def _result(sums: Sums, size: int) -> Backup:
    return Backup(sums.streams, sums.events, size, tuple(sums.damaged))


class _Writer:
    def __init__(self, path: Path) -> None:
        self.sums = Sums()
        self.size = 0
        self._path = path
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb")
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1, filename="")

    def begin(self, streams: int, events: int) -> None:
        head = {
            "format": FORMAT,
            "version": VERSION,
            "created_at": time.time_ns(),
            "streams": streams,
            "events": events,
        }
        self._gzip.write(_line(head))

    def write(self, batch: Batch) -> None:
        self._gzip.write(b"".join(self.sums.add(batch)))

    def end(self, path: Path) -> None:
        self.sums.end_stream()
        damaged = [[key.kind, key.name] for key in self.sums.damaged]
        self._gzip.write(_line({"sha256": self.sums.digest().hex(), "damaged": damaged}))
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self.size = self._file.tell()
        self._path.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._gzip.close()
        with contextlib.suppress(OSError):
            self._file.close()


class _Reader:
    """Reads a backup once; what is wrong with it is raised by ``batches``.

    Args:
        types: What ``types`` was after the file was read for the first time.
    """

    def __init__(self, path: Path, types: Types | None = None) -> None:
        self.sums = Sums()
        self.types: Types = dict(types or {})
        self._known = list(self.types)
        self._lines = hashlib.sha256()
        self._path = path
        with _errors(path):
            self.size = path.stat().st_size
            self._file = gzip.open(path)  # noqa: SIM115 - closed by close
            head = self._object(self._file.readline())
        if head.get("format") != FORMAT:
            raise StorageCorruptError(
                f"{path} is no backup of a log; nothing was restored.", metadata=_where(path)
            )
        self._version = head.get("version")
        if self._version not in (VERSION, _ONE_BY_ONE):
            raise StorageCorruptError(
                f"{path} was made by a newer Ensemble (format {head.get('version')}; this one "
                f"knows {VERSION}). Restore it with that version.",
                metadata=_where(path),
            )
        self.events = int(head.get("events", 0))

    def batches(self) -> Iterator[Batch]:
        """Yield the records. Ends only if the file is whole."""
        batch: Batch = [("types", (self.types[kind], *kind)) for kind in self._known]
        with _errors(self._path):
            for line in self._file:
                if not line.startswith(b"["):
                    break
                self._lines.update(line)
                batch += self._records(line)
                if len(batch) >= PAGE:
                    yield from self._checked(batch)
                    batch = []
            else:
                raise DamagedRecordError
            yield from self._checked(batch)
            self._check_end(self._object(line), self._file.read())

    def _records(self, line: bytes) -> Batch:
        if self._version == VERSION:
            return [decode(line)]
        return decode_version_1(line, self.types)

    def _checked(self, batch: Batch) -> Iterator[Batch]:
        for _ in self.sums.add(batch):
            pass
        if batch:
            yield batch

    def _check_end(self, end: dict[str, Any], rest: bytes) -> None:
        self.sums.end_stream()
        damaged = [[key.kind, key.name] for key in self.sums.damaged]
        if rest or end.get("sha256") != self._lines.hexdigest() or end.get("damaged") != damaged:
            raise DamagedRecordError

    @staticmethod
    def _object(line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError as exc:
            raise DamagedRecordError from exc
        if not isinstance(found, dict):
            raise DamagedRecordError
        return found

    def close(self) -> None:
        self._file.close()


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _where(path: Path) -> dict[str, str]:
    return {"file": str(path)}


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the file as an error of the catalogue."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, DamagedRecordError) as exc:
        raise StorageCorruptError(
            f"{path} is damaged or was cut off, or is no backup; nothing was restored. Use "
            "another one.",
            metadata=_where(path),
        ) from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFullError(
                f"The disk under {path} is full; free some space and try again.",
                metadata=_where(path),
            ) from exc
        raise StorageUnavailableError(
            f"{path} cannot be used ({exc.strerror}). Check that it exists and that its owner "
            "may use it.",
            metadata=_where(path),
        ) from exc
