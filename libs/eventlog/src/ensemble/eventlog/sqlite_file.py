"""One SQLite file, held by one process, and its failures as errors of the catalogue."""

import asyncio
import contextlib
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from ensemble.core.errors import (
    EnsembleError,
    StorageCorruptError,
    StorageFullError,
    StorageUnavailableError,
)
from ensemble.eventlog.store_folder import Lock, sync

T = TypeVar("T")

Migration = str | Callable[[sqlite3.Connection], None]
"""Statements, or a function, that make one version of a file out of the version before."""

_FRAME_BYTES: Final = 24
"""In the write-ahead log, beside each page."""

_CHECKPOINT_TRIES: Final = 20
_CHECKPOINT_PAUSE_S: Final = 0.25

_MAGIC: Final = b"SQLite format 3\x00"

# Below this a full structural check costs less than 50 ms; above it only the header and the
# end of the file are looked at, and damage elsewhere shows when it is read.
_CHECK_WHOLE_BELOW: Final = 32 * 1024 * 1024

_VERSION_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS schema_version ("
    "version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT"
)


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements, which contain no other semicolon than those between them, in the
    transaction that is open (``executescript`` would commit it)."""
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)


def translate(exc: sqlite3.Error | OSError, path: Path) -> EnsembleError:
    """Return the error of the catalogue that says what ``exc`` means for the file ``path``."""
    code = getattr(exc, "sqlite_errorcode", 0)
    primary = code & 0xFF
    where = {"file": str(path)}
    if primary == sqlite3.SQLITE_FULL or (
        code == sqlite3.SQLITE_IOERR_WRITE and _at_size_limit(path)
    ):
        return StorageFullError(
            f"The disk under {path} is full; free some space and try again.", metadata=where
        )
    undecodable = str(exc).startswith("Could not decode")  # has no code
    if undecodable or primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        # What cannot be decoded is somebody's words.
        why = "a text that is none" if undecodable else exc
        return StorageCorruptError(
            f"{path} is damaged ({why}). Move it away (with its -wal file) to start with an "
            "empty log, or put a backup in its place.",
            metadata=where,
        )
    return StorageUnavailableError(
        f"{path} cannot be used ({exc}). Check that its folder exists, that its owner may write "
        "there and that the disk works.",
        metadata=where,
    )


def _at_size_limit(path: Path) -> bool:
    """A process with a limit on file size gets EFBIG, which SQLite reports as any I/O error."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return False
    slack = 1024 * 1024
    names = (path, path.with_name(path.name + "-wal"))
    return any(name.exists() and name.stat().st_size + slack >= limit for name in names)


class SqliteFile:
    """Opens ``path``, after making sure that this process is the only one to use it.

    Args:
        path: The database; its folder is made if it is absent.
        migrations: One for each version of the schema from 1 to the one this code knows; those
            that the file has not seen are run, all of them or none.
        page_bytes: Of a new file.
        wal_bytes: How long the write-ahead log is made from the start, and about how long it
            gets; 0 lets it grow as SQLite does.

    Raises:
        StorageLockedError: Another process holds the file.
        StorageCorruptError: It is not a database, is damaged, or is newer than this code.
        StorageUnavailableError: It cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        migrations: Sequence[Migration],
        page_bytes: int = 4096,
        wal_bytes: int = 0,
    ) -> None:
        self.path = path
        self._page_bytes = page_bytes
        self._wal_bytes = wal_bytes
        try:
            self._lock = Lock(path)
        except OSError as exc:
            raise translate(exc, path) from exc
        try:
            self._refuse_foreign()
            self._make()
            self.writer = self.connect()
            try:
                self._prepare(migrations)
                self.extend_wal()
            except BaseException:
                self.writer.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """Return a new connection, in autocommit mode, usable from any one thread at a time."""
        try:
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except sqlite3.Error as exc:
            raise translate(exc, self.path) from exc
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    async def empty_wal(self) -> None:
        """Take what pages said before out of the write-ahead log, and have the disk forget it.

        Raises:
            StorageUnavailableError: Somebody read all the while and needed it.
        """
        for _ in range(_CHECKPOINT_TRIES):
            if await asyncio.to_thread(self._empty_wal):
                return
            await asyncio.sleep(_CHECKPOINT_PAUSE_S)
        raise StorageUnavailableError(
            f"{self.path} is being read: what was erased is still in its -wal file."
        )

    def _empty_wal(self) -> bool:
        try:
            with contextlib.closing(self.connect(read_only=True)) as connection:
                # While it waits for readers, nobody can write.
                connection.execute("PRAGMA busy_timeout = 250")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as exc:
            raise translate(exc, self.path) from exc
        if not busy:
            # SQLite does not: after a power cut the old pages would be there again.
            self.sync_wal()
        return not busy

    def sync_wal(self) -> None:
        """Wait until the disk has the write-ahead log, and its size, as they are now.

        Raises:
            StorageUnavailableError: The disk failed.
        """
        try:
            sync(self.path.with_name(self.path.name + "-wal"))
        except OSError as exc:
            raise translate(exc, self.path) from exc

    def extend_wal(self) -> None:
        """Have the write-ahead log as long as it gets.

        A commit that makes the file longer waits for the books of the file system as well: about
        twice as long. Only for the thread that writes. Nothing is lost where it fails.
        """
        if not self._wal_bytes:
            return
        with contextlib.suppress(OSError):
            fd = os.open(self.path.with_name(self.path.name + "-wal"), os.O_WRONLY | os.O_CLOEXEC)
            try:
                # What SQLite finds behind its frames it takes for none.
                if (size := os.fstat(fd).st_size) < self._wal_bytes:
                    os.pwrite(fd, bytes(self._wal_bytes - size), size)
                    os.fsync(fd)
            finally:
                os.close(fd)

    def close(self) -> None:
        """Close the writing connection and let other processes have the file."""
        with contextlib.suppress(sqlite3.Error):
            self.writer.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _refuse_foreign(self) -> None:
        try:
            with self.path.open("rb") as file:
                head = file.read(100)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise translate(exc, self.path) from exc
        if head and not head.startswith(_MAGIC):
            raise StorageCorruptError(
                f"{self.path} is not an SQLite database and was left as it is. Move it away to "
                "start with an empty log.",
                metadata={"file": str(self.path)},
            )

    def _make(self) -> None:
        """Make a file that is absent readable by its owner only; SQLite's other files follow it."""
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as exc:
            raise translate(exc, self.path) from exc

    def _prepare(self, migrations: Sequence[Migration]) -> None:
        try:
            self._set_modes()
            self._check()
            found = self._version()
            if found > len(migrations):
                raise StorageCorruptError(
                    f"{self.path} was written by a newer Ensemble (format {found}; this one "
                    f"knows {len(migrations)}). Run that version, or move the file away.",
                    metadata={"file": str(self.path), "format": str(found)},
                )
            if found < len(migrations):
                self._migrate(migrations, found)
        except (sqlite3.Error, OSError) as exc:
            raise translate(exc, self.path) from exc

    def _set_modes(self) -> None:
        # FULL makes each commit wait until the disk has it; with WAL that is one fsync.
        # What is deleted is overwritten, so that an erasure leaves nothing in free space.
        for pragma in (
            f"page_size = {self._page_bytes}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
        ):
            self.writer.execute(f"PRAGMA {pragma}").fetchall()
        if self._wal_bytes:
            # The pages go into the file before the write-ahead log would have to grow.
            (page_bytes,) = self.writer.execute("PRAGMA page_size").fetchone()
            pages = self._wal_bytes * 7 // 8 // (page_bytes + _FRAME_BYTES)
            self.writer.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchall()

    def _check(self) -> None:
        if self.path.stat().st_size <= _CHECK_WHOLE_BELOW:
            verdict = self.writer.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise StorageCorruptError(
                    f"{self.path} is damaged. Move it away (with its -wal file) to start with "
                    "an empty log, or put a backup in its place.",
                    metadata={"file": str(self.path)},
                )

    def _version(self) -> int:
        tables = self.writer.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
        ).fetchone()[0]
        if not tables:
            return 0
        known = self.writer.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'"
        ).fetchone()[0]
        if not known:
            raise StorageCorruptError(
                f"{self.path} is a database of another program and was left as it is.",
                metadata={"file": str(self.path)},
            )
        newest = self.writer.execute("SELECT max(version) FROM schema_version").fetchone()[0]
        return int(newest or 0)

    def _migrate(self, migrations: Sequence[Migration], found: int) -> None:
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            self.writer.execute(_VERSION_TABLE)
            for version, migration in enumerate(migrations[found:], found + 1):
                if isinstance(migration, str):
                    run_script(self.writer, migration)
                else:
                    migration(self.writer)
                self.writer.execute(
                    "INSERT INTO schema_version VALUES (?, ?)", (version, time.time_ns())
                )
            self.writer.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.writer.execute("ROLLBACK")
            raise


async def open_store(
    path: Path,
    migrations: Sequence[Migration],
    make: Callable[[SqliteFile], T],
    *,
    page_bytes: int = 4096,
    wal_bytes: int = 0,
) -> T:
    """Return what ``make`` makes of the file at ``path``, see ``SqliteFile``; a failure leaves it
    free.

    Raises:
        EnsembleError: As ``SqliteFile`` raises, or what ``make`` raised.
    """
    file = await asyncio.to_thread(
        SqliteFile, path, migrations=migrations, page_bytes=page_bytes, wal_bytes=wal_bytes
    )
    try:
        return make(file)
    except BaseException as exc:
        file.close()
        if isinstance(exc, sqlite3.Error):
            raise translate(exc, path) from exc
        raise
