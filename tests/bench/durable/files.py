"""What a store takes on disk, and what the disk takes for a write."""

import os
import sqlite3
import time
from pathlib import Path


def sqlite_size(path: Path) -> int:
    """Return the bytes of a database after a checkpoint of its write-ahead log."""
    connection = sqlite3.connect(path, timeout=10)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()
    family = (path, path.with_name(path.name + "-wal"))
    return sum(each.stat().st_size for each in family if each.exists())


def fsync_seconds(path: Path) -> float:
    """Append 4 KiB to a file and return how long its fsync took."""
    with path.open("ab") as file:
        file.write(b"x" * 4096)
        file.flush()
        begin = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - begin
