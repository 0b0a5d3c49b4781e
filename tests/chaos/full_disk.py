"""A disk that can be filled and freed under a process."""

import contextlib
import resource
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_SIZE = 24 << 20
_PIECE = b"\0" * 65536


class FullDisk:
    """A small tmpfs at ``folder`` where this may be mounted, else a limit on the size of files.

    Attributes:
        how: Which of the two.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / "filler"
        self.how = "tmpfs"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(self._folder)],
            capture_output=True,
        )
        if done.returncode:
            self.how = "limited file size"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.how == "tmpfs":
            subprocess.run(["umount", "-l", str(self._folder)], check=True)

    def fill(self, process: int) -> None:
        """Leave no room."""
        if self.how != "tmpfs":
            _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
            resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, hard))
            return
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while filler.write(_PIECE):
                pass

    def free(self, process: int) -> None:
        """Make room again."""
        if self.how != "tmpfs":
            _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
            resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
            return
        self._filler.unlink()
