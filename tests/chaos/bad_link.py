"""A network between client and gateway that drops, stalls and comes back."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from ensemble.testkit.chaos.steady_port import steady_port

_PIECE = 65536


class BadLink:
    """Forwards TCP to ``target`` (``host:port``) as long as it is in the mood.

    Attributes:
        address: Where to connect instead.
        cuts: Connections that were cut so far.
    """

    def __init__(self, target: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self.address = f"127.0.0.1:{steady_port()}"
        self.cuts = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        host, _, port = self.address.rpartition(":")
        self._server = await asyncio.start_server(self._carry, host, int(port))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flows.set()
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection; what was under way is lost."""
        for writer in list(self._writers):
            self.cuts += 1
            writer.transport.abort()

    async def drop(self, seconds: float) -> None:
        """Reset every connection and take no new one for a while."""
        self._refuses = True
        self.cut()
        await asyncio.sleep(seconds)
        self._refuses = False

    async def stall(self, seconds: float) -> None:
        """Carry nothing for a while, without a word to either side."""
        self._flows.clear()
        await asyncio.sleep(seconds)
        self._flows.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_PIECE):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
