"""The folder of a store: made so that it lasts, and held by one process."""

import contextlib
import fcntl
import os
from pathlib import Path

from ensemble.core.errors import StorageLockedError


def make_folder(folder: Path) -> None:
    """Make sure that there is a folder, and that a power cut does not take its name away.

    SQLite syncs the folder of its files, but nobody syncs where that folder itself is named.
    """
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in absent or [folder]:
        # A parent that may not be read cannot be synced; nor was anything made in it.
        with contextlib.suppress(PermissionError):
            sync(made.parent)


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder; raises ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Lock:
    """A lock file beside a database, released by the kernel when its holder dies.

    Args:
        path: The database; its folder is made if it is absent.

    Raises:
        StorageLockedError: Another process holds it.
        OSError: The folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        name = path.with_name(path.name + ".lock")
        make_folder(path.parent)
        self._fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise StorageLockedError(
                f"Process {holder} already uses {path.parent}. Stop it first, or choose another "
                "folder with ENSEMBLE_HOME.",
                metadata={"folder": str(path.parent), "pid": holder},
            ) from exc
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let other processes have the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
