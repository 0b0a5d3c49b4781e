"""One assistant a home folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ensemble.core import paths
from ensemble.core.errors import ConfigurationError, StorageLockedError


@contextmanager
def hold_home() -> Iterator[None]:
    """Hold ``ENSEMBLE_HOME`` while inside.

    Raises:
        StorageLockedError: Another instance holds it; the message names its process.
        ConfigurationError: The folder cannot be made or written.
    """
    home = paths.home()
    try:
        paths.ensure_private(home)
        paths.models().mkdir(exist_ok=True)
        descriptor = os.open(home / "ensemble.pid", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"ENSEMBLE_HOME {home} cannot be used: {error.strerror}."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise StorageLockedError(
                f"Another Ensemble (process {holder}) already runs on {home}. Stop it, or set "
                "ENSEMBLE_HOME to another folder and ENSEMBLE_GATEWAY_ADDRESS to another port."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
