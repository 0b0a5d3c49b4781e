"""API keys in a file that only its owner reads."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from ensemble.core.errors import ConfigurationError, UnauthenticatedError
from ensemble.core.paths import ensure_private

_PREFIX = "ens_"


def ensure_key_file(path: Path) -> None:
    """Make ``path`` with a fresh key unless it is there.

    Raises:
        ConfigurationError: The file can be read by others, or not by us.
    """
    ensure_private(path.parent)
    key = _PREFIX + secrets.token_urlsafe(32)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
        # link() fails when the file is there: of two first runs at once, one key wins.
        os.link(staging, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigurationError(
            f"The API key file {path} cannot be made: {error.strerror}."
        ) from error
    finally:
        staging.unlink(missing_ok=True)
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"The API key file {path} can be read by others; run: chmod 600 {path}"
        )


class KeyRing:
    """Knows the keys of a file and whom each stands for.

    A line is ``KEY`` or ``KEY NAME``; NAME is the principal, ``local`` when absent.
    The file is read again when it changes, so that keys are added without a restart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._principals: dict[bytes, str] = {}

    def principal(self, authorization: str) -> str:
        """Return whom ``authorization`` (``Bearer KEY``) stands for.

        Raises:
            UnauthenticatedError: There is no key, or none that is known.
        """
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise UnauthenticatedError
        self._refresh()
        digest = hashlib.sha256(key.strip().encode()).digest()
        found = ""
        for known, name in self._principals.items():
            if hmac.compare_digest(known, digest):
                found = name
        if not found:
            raise UnauthenticatedError("This API key is not known.")
        return found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            lines = self._path.read_text().splitlines()
        except OSError as error:
            raise UnauthenticatedError("The gateway cannot read its API keys.") from error
        principals = {}
        for line in lines:
            key, *name = line.split(maxsplit=1) or ("",)
            if key and not key.startswith("#"):
                principals[hashlib.sha256(key.encode()).digest()] = "".join(name).strip() or "local"
        self._principals, self._stamp = principals, stamp
