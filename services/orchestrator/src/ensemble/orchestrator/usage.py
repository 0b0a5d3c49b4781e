"""Sums of what calls used."""

import asyncio
import contextlib
from typing import Final

from google.protobuf import duration_pb2

from ensemble.v1 import common_pb2

_NANOS: Final = 1_000_000_000


def add(total: common_pb2.Usage, more: common_pb2.Usage) -> None:
    """Add ``more`` to ``total``; prices of another currency than the first are left out."""
    total.input_tokens += more.input_tokens
    total.output_tokens += more.output_tokens
    total.cached_input_tokens += more.cached_input_tokens
    for name in ("audio_input", "audio_output"):
        if more.HasField(name):
            _add_duration(getattr(total, name), getattr(more, name))
    if more.HasField("cost"):
        if not total.HasField("cost"):
            total.cost.CopyFrom(more.cost)
        elif total.cost.currency_code == more.cost.currency_code:
            nanos = total.cost.nanos + more.cost.nanos
            total.cost.units += more.cost.units + nanos // _NANOS
            total.cost.nanos = nanos % _NANOS


def _add_duration(total: duration_pb2.Duration, more: duration_pb2.Duration) -> None:
    total.FromNanoseconds(total.ToNanoseconds() + more.ToNanoseconds())


class Account:
    """What a response has used, part by part; one that is cut off keeps what was told by then.

    Attributes:
        total: The sum.
    """

    def __init__(self) -> None:
        self.total = common_pb2.Usage()
        self._open = False
        self._ended = asyncio.Event()

    def add(self, usage: common_pb2.Usage) -> None:
        """Add a part."""
        add(self.total, usage)

    def begin(self) -> None:
        """A call begins whose end tells what it used, also after it was cancelled."""
        self._open = True
        self._ended.clear()

    def end(self, usage: common_pb2.Usage | None = None) -> None:
        """It ended; None when it was lost with what it used."""
        if usage is not None:
            self.add(usage)
        self._open = False
        self._ended.set()

    async def settled(self, limit_s: float) -> None:
        """Wait for the end of a call that was cancelled, but no longer than ``limit_s``."""
        if self._open and limit_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._ended.wait()
