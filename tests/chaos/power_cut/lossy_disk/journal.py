"""Reads the journal that the library writes."""

import enum
import mmap
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIRST = 4096
_RECORD = struct.Struct("=QIIQqQQ")
_HEADER = struct.Struct("=QQQQII")  # end, capacity, records, cut_at, frozen, busy
_CUT_AT, _FROZEN_AT = 24, 32
_WAIT_S = 10.0


class Operation(enum.IntEnum):
    """What a record says; ``journal.c`` tells which fields it uses."""

    CREATE = 1
    WRITE = 2
    RESIZE = 3
    ALLOCATE = 4
    SYNC_BEGIN = 5
    SYNC_END = 6
    RENAME = 7
    LINK = 8
    UNLINK = 9
    MKDIR = 10
    RMDIR = 11
    MAPPED = 12


OPAQUE, DURABLE, DATA_ONLY = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Record:
    """One call that took effect."""

    operation: Operation
    flags: int
    ino: int
    offset: int
    thread: int
    data: bytes

    @property
    def names(self) -> list[str]:
        """The paths, below the root, that the call was about."""
        return [name.decode() for name in self.data.split(b"\0")]


class Journal:
    """A journal, while it is written and afterwards."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    @property
    def records(self) -> int:
        """How many records there are."""
        return int(_HEADER.unpack_from(self._map)[2])

    @property
    def frozen(self) -> bool:
        """Whether the power is off."""
        return bool(_HEADER.unpack_from(self._map)[4])

    def cut_after(self, records: int) -> None:
        """Let the power go once there are so many more records."""
        self._map[_CUT_AT : _CUT_AT + 8] = struct.pack("=Q", self.records + records)

    def freeze(self) -> None:
        """Let no call take effect any more, and wait for the one that is under way."""
        self._map[_FROZEN_AT] = 1
        end = time.monotonic() + _WAIT_S
        while _HEADER.unpack_from(self._map)[5]:
            assert time.monotonic() < end, "a call under the journal's lock does not end"
            time.sleep(0.001)

    def __iter__(self) -> Iterator[Record]:
        end, at = int(_HEADER.unpack_from(self._map)[0]), FIRST
        while at < end:
            size, operation, flags, ino, offset, length, thread = _RECORD.unpack_from(self._map, at)
            data = at + _RECORD.size
            yield Record(
                Operation(operation), flags, ino, offset, thread, self._map[data : data + length]
            )
            at += size

    def close(self) -> None:
        """Free the mapping."""
        self._map.close()
