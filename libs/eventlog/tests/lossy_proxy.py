"""A Unix socket in front of a Postgres server that can lose one answer."""

import asyncio
import contextlib
from pathlib import Path


class LossyProxy:
    """Passes bytes on in both directions.

    Args:
        server: Folder of the server's socket.
        folder: Where clients connect instead.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self.folder = folder
        self._server = server / ".s.PGSQL.5432"
        self._lose: bytes | None = None
        self._listening: asyncio.Server | None = None
        self._lost = asyncio.Event()

    async def __aenter__(self) -> "LossyProxy":
        self._listening = await asyncio.start_unix_server(
            self._serve, self.folder / ".s.PGSQL.5432"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.close()
        await self._listening.wait_closed()

    def dsn(self, database: str) -> str:
        """Return where ``database`` is reached through the proxy."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def lose_the_answer_to(self, words: bytes) -> None:
        """Break the next connection whose client sends ``words``, once the server answered."""
        self._lose = words

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        losing = asyncio.Event()

        async def there() -> None:
            while chunk := await reader.read(65536):
                if self._lose is not None and self._lose in chunk:
                    self._lose = None
                    losing.set()
                to_server.write(chunk)
                await to_server.drain()

        async def back() -> None:
            while chunk := await from_server.read(65536):
                if losing.is_set():
                    return
                writer.write(chunk)
                await writer.drain()

        tasks = [asyncio.ensure_future(there()), asyncio.ensure_future(back())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (writer, to_server):
            each.close()
            with contextlib.suppress(OSError):
                await each.wait_closed()
