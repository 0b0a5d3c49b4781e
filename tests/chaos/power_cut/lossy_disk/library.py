"""Builds the library that is loaded into the processes of a store."""

import atexit
import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_SOURCES = [Path(__file__).with_name(name) for name in ("journal.c", "calls.c")]


@functools.cache
def library() -> Path:
    """Compile the library, once per process, and return where it is."""
    assert sys.platform == "linux", "Power cuts are played with LD_PRELOAD, which needs Linux."
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise AssertionError("There is no C compiler: install one (cc), or name it in CC.")
    folder = Path(tempfile.mkdtemp(prefix="ensemble-power-cut-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = folder / "journal.so"
    command: list[str | Path] = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", built]
    done = subprocess.run(
        [*command, *_SOURCES, "-ldl", "-lpthread"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # A server that gave up being root must be able to load it.
    folder.chmod(0o755)
    return built


def create_journal(path: Path, capacity: int, cut_at: int) -> None:
    """Make an empty journal at ``path``.

    Args:
        capacity: Bytes; a store that writes more is aborted. The file is sparse.
        cut_at: Number of the record after which the power goes; 0 for never.
    """
    create = ctypes.CDLL(str(library()), use_errno=True).journal_create
    create.argtypes = (ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64)
    if create(bytes(path), capacity, cut_at):
        raise OSError(ctypes.get_errno(), "the journal cannot be made", str(path))
