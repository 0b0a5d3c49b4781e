"""Connections to one Postgres database, and its failures as errors of the catalogue."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ensemble.core.errors import (
    EnsembleError,
    InvalidArgumentError,
    StorageCorruptError,
    StorageFullError,
    StorageUnavailableError,
)

Connection = Any
"""An ``asyncpg.Connection``; asyncpg comes without types."""

_CONNECT_S: Final = 2.0
_STATEMENT_S: Final = 10.0
_READERS: Final = 4

_NOT_STORABLE: Final = ("22000", "22003", "22021", "22P05")
"""A value that asyncpg cannot send, a number out of range, characters that are none."""

_SESSION: Final = {
    "application_name": "ensemble",
    # A commit returns once the disk has it, whatever the server's default is.
    "synchronous_commit": "on",
    # Statements are short and always the same: compiling or planning them again only costs.
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    # A plan that was made while the tables were small must serve when they are large.
    "enable_seqscan": "off",
}


def _asyncpg() -> Any:
    try:
        import asyncpg
    except ModuleNotFoundError as exc:
        raise StorageUnavailableError(
            "Postgres needs the package asyncpg: install ensemble-eventlog[postgres]."
        ) from exc
    return asyncpg


def describe(dsn: str) -> str:
    """Return the place that ``dsn`` names, without user and password."""
    parts = urlsplit(dsn)
    host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
    return f"Postgres database {parts.path.lstrip('/') or 'postgres'} at {host}"


def lost(exc: BaseException) -> bool:
    """Whether ``exc`` says that the connection is gone, or of no more use."""
    state = getattr(exc, "sqlstate", None) or ""
    if state:
        return state.startswith(("08", "57P", "53300"))
    asyncpg = _asyncpg()
    # The last one is raised by a connection that the server has given up, but not closed yet.
    gone = (OSError, EOFError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(exc, gone) and not isinstance(exc, ValueError)


class Database:
    """Opens connections; keeps a few for reading.

    Args:
        dsn: ``postgresql://user:password@host/database``.
    """

    def __init__(self, dsn: str) -> None:
        self._asyncpg = _asyncpg()
        self._dsn = dsn
        self._pool: Any = None
        self.where = describe(dsn)

    async def open(self) -> None:
        """Prepare the connections for reading.

        Raises:
            StorageUnavailableError: The database cannot be reached.
        """
        with self.errors():
            self._pool = await self._asyncpg.create_pool(
                self._dsn,
                min_size=1,
                max_size=_READERS,
                timeout=_CONNECT_S,
                command_timeout=_STATEMENT_S,
                server_settings=_SESSION,
                reset=_keep,
            )

    async def connect(self) -> Connection:
        """Return a connection of its own; raises what asyncpg raises."""
        return await self._asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_S,
            command_timeout=_STATEMENT_S,
            server_settings=_SESSION,
        )

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Connection]:
        """Lend a connection of the pool; failures are raised as errors of the catalogue."""
        if self._pool is None:
            raise self.closed()
        with self.errors():
            async with self._pool.acquire(timeout=_STATEMENT_S) as connection:
                try:
                    yield connection
                except TimeoutError:
                    # The server stands still: it would not answer to a cancellation either.
                    connection.terminate()
                    raise

    @contextlib.asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Connection]:
        """Lend a connection as ``borrowed`` does, with a transaction begun."""
        async with self.borrowed() as connection:
            transaction = connection.transaction(**options)
            await transaction.start()
            try:
                yield connection
            except TimeoutError:
                raise
            except BaseException:
                with contextlib.suppress(Exception):
                    await transaction.rollback()
                raise
            await transaction.commit()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[Connection]:
        """Give a connection of its own to work that takes long; failures as in ``borrowed``."""
        if self._pool is None:
            raise self.closed()
        with self.errors():
            connection = await self.connect()
            try:
                yield connection
            finally:
                connection.terminate()

    async def fetch(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query that changes nothing; tried again if a connection broke."""
        try:
            async with self.borrowed() as connection:
                return list(await connection.fetch(query, *values))
        except StorageUnavailableError as exc:
            if self._pool is None or isinstance(exc.__cause__, TimeoutError):
                raise
        # Every connection of the pool is as old as the server; the second one is new.
        await self._pool.expire_connections()
        async with self.borrowed() as connection:
            return list(await connection.fetch(query, *values))

    def closed(self) -> StorageUnavailableError:
        """Return what to raise after ``close``."""
        return StorageUnavailableError(f"The log in {self.where} is closed.")

    def translate(self, exc: BaseException) -> EnsembleError:
        """Return the error of the catalogue that says what ``exc`` means.

        Of what the server says only the code is kept: its words may quote what was written.
        """
        state = getattr(exc, "sqlstate", None) or ""
        what = f"{type(exc).__name__} {state}".strip()
        place = {"database": self.where, "sqlstate": state}
        if state == "53100":
            return StorageFullError(
                f"The disk under {self.where} is full; free some space and try again.",
                metadata=place,
            )
        if state in _NOT_STORABLE:
            return InvalidArgumentError(f"The log cannot keep such a value ({what}).")
        if state in ("XX001", "XX002"):
            return StorageCorruptError(
                f"{self.where} is damaged ({what}). Restore a backup.", metadata=place
            )
        return StorageUnavailableError(
            f"{self.where} cannot be used ({what}). Check that the server runs and that the "
            "address, the user and the password are right.",
            metadata=place,
        )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what fails inside as an error of the catalogue."""
        try:
            yield
        except EnsembleError:
            raise
        except (
            self._asyncpg.PostgresError,
            self._asyncpg.InterfaceError,
            self._asyncpg.InternalClientError,
            OSError,
            EOFError,
        ) as exc:
            raise self.translate(exc) from exc

    async def close(self) -> None:
        """Close the connections for reading, and wait for what they do at most a second."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 1)
            except TimeoutError:
                pool.terminate()


async def _keep(_: Connection) -> None:
    """A connection for reading has no state that would have to be reset."""
