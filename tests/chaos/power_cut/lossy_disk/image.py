"""Works out from a journal what is on the disk after the cut."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from tests.chaos.power_cut.lossy_disk.journal import DATA_ONLY, DURABLE, OPAQUE, Operation, Record


@dataclass(frozen=True, slots=True)
class Dice:
    """How much of what was not synced survives.

    Attributes:
        chance: Of each sector and each change of a name, from 0 to 1.
        sector: Bytes that survive or vanish together, 512 or 4096.
    """

    random: random.Random
    chance: float = 0.0
    sector: int = 4096

    def survives(self) -> bool:
        """Throw once."""
        return self.random.random() < self.chance


@dataclass(slots=True)
class _Change:
    number: int
    operation: Operation
    offset: int
    data: bytes
    durable: bool

    def apply(self, content: bytearray, dice: Dice | None = None) -> None:
        """Change ``content``; as much of it as the dice allow."""
        if self.operation is Operation.WRITE:
            for start, end in self._survivors(dice):
                _grow(content, self.offset + start)
                content[self.offset + start : self.offset + end] = self.data[start:end]
        elif dice is None or dice.survives():
            if self.operation is Operation.RESIZE:
                del content[self.offset :]
            _grow(content, self.offset)

    def _survivors(self, dice: Dice | None) -> list[tuple[int, int]]:
        size = len(self.data)
        if dice is None or self.durable:
            return [(0, size)]
        first = self.offset // dice.sector * dice.sector - self.offset
        starts = range(first, size, dice.sector)
        return [(max(at, 0), min(at + dice.sector, size)) for at in starts if dice.survives()]


def _grow(content: bytearray, size: int) -> None:
    if len(content) < size:
        content.extend(bytes(size - len(content)))


@dataclass(slots=True, eq=False)
class File:
    """A file: what is durable of it, and what was done to it since.

    Attributes:
        unseen: Some of what was written is not in the journal.
    """

    original: Path | None = None
    unseen: bool = False
    touched: bool = False
    _durable: bytearray | None = None
    _pending: list[_Change] = field(default_factory=list)

    def add(self, change: _Change) -> None:
        """Note a change that is not durable yet."""
        self.touched = True
        self._pending.append(change)

    def load(self) -> bytearray:
        """Return what is durable, to be changed in place."""
        if self._durable is None:
            self._durable = bytearray(self.original.read_bytes() if self.original else b"")
        return self._durable

    def sync(self, before: int) -> None:
        """Make what was done before record ``before`` durable."""
        content, later = self.load(), []
        for change in self._pending:
            if change.number < before:
                change.apply(content)
            else:
                later.append(change)
        self._pending = later

    def live(self) -> bytes:
        """Return what programs saw last."""
        content = bytearray(self.load())
        for change in self._pending:
            change.apply(content)
        return bytes(content)

    def settle(self, dice: Dice) -> int:
        """Throw the dice over what is not durable; return how many changes that concerned."""
        content = self.load()
        for change in self._pending:
            change.apply(content, dice)
        pending, self._pending = len(self._pending), []
        return pending


@dataclass(slots=True, eq=False)
class Folder:
    """A folder; ``path`` is below the root, and stays."""

    path: str


Node = File | Folder


@dataclass(slots=True)
class _NameChange:
    number: int
    gone: str | None
    new: str | None
    node: Node

    @property
    def folders(self) -> set[str]:
        return {parent(name) for name in (self.gone, self.new) if name is not None}

    def apply(self, names: dict[str, Node]) -> None:
        if self.gone is not None and names.get(self.gone) is self.node:
            del names[self.gone]
        if self.new is not None:
            names[self.new] = self.node


def parent(name: str) -> str:
    """Return the folder that holds ``name``; "" for the root."""
    return "" if "/" not in name else str(PurePosixPath(name).parent)


class Image:
    """Follows a journal.

    Args:
        nodes: Path below the root and inode of everything there was at first, the root ("")
            included, and where its durable content lies.
        own_name_with_file: An ``fsync`` of a file keeps the names it was given.
        lies_about: Pattern of names; syncs of such files do nothing.
    """

    def __init__(
        self,
        nodes: dict[str, tuple[int, Path | None]],
        *,
        own_name_with_file: bool,
        lies_about: str = "",
    ) -> None:
        self._lies_about = lies_about
        self._own_name_with_file = own_name_with_file
        self._by_ino: dict[int, Node] = {}
        self.live: dict[str, Node] = {}
        for name, (ino, original) in nodes.items():
            node = Folder(name) if original is None else File(original)
            self._by_ino[ino] = self.live[name] = node
        self.initial = dict(self.live)
        self.durable = dict(self.live)
        self._pending: list[_NameChange] = []
        self._syncing: dict[int, int] = {}
        self._number = 0

    @property
    def files(self) -> list[File]:
        """Every file that has, or may have, a name."""
        named = (*self.live.values(), *self.durable.values(), *(c.node for c in self._pending))
        # Always in the same order, for the sake of the dice.
        return [node for node in dict.fromkeys(named) if isinstance(node, File)]

    def follow(self, record: Record) -> None:
        """Take the next record into account."""
        self._number += 1
        match record.operation:
            case Operation.CREATE:
                self._created(record)
            case Operation.MKDIR:
                self._named(record, None, record.names[0], Folder(record.names[0]))
            case Operation.RENAME:
                old, new = record.names
                node = self.live[old]
                assert isinstance(node, File), f"folder {old} was renamed: not modelled"
                self._named(record, old, new, node)
            case Operation.LINK:
                self._named(record, None, record.names[1], self.live[record.names[0]])
            case Operation.UNLINK | Operation.RMDIR:
                self._named(record, record.names[0], None, self.live[record.names[0]])
            case Operation.SYNC_BEGIN:
                self._syncing[record.thread] = self._number
            case Operation.SYNC_END:
                began = self._syncing.pop(record.thread)
                if found := self._by_ino.get(record.ino):
                    self._synced(found, began, data_only=bool(record.flags & DATA_ONLY))
            case Operation.MAPPED:
                if isinstance(found := self._by_ino.get(record.ino), File):
                    found.unseen = True
            case Operation.WRITE | Operation.RESIZE | Operation.ALLOCATE:
                if isinstance(found := self._by_ino.get(record.ino), File):
                    durable = bool(record.flags & DURABLE)
                    change = _Change(
                        self._number, record.operation, record.offset, record.data, durable
                    )
                    found.add(change)

    def _created(self, record: Record) -> None:
        opaque, (name,) = bool(record.flags & OPAQUE), record.names
        old = self.live.get(name)
        if opaque and isinstance(old, File):  # stdio opens what is there as well
            old.unseen = True
        else:
            self._named(record, None, name, File(unseen=opaque, touched=True))

    def _named(self, record: Record, gone: str | None, new: str | None, node: Node) -> None:
        if record.ino:
            self._by_ino[record.ino] = node
        change = _NameChange(self._number, gone, new, node)
        change.apply(self.live)
        self._pending.append(change)

    def _synced(self, node: Node, began: int, *, data_only: bool) -> None:
        if self._lies_about and any(
            other is node and fnmatch(name, self._lies_about) for name, other in self.live.items()
        ):
            return
        if isinstance(node, File):
            node.sync(began)
            if self._own_name_with_file and not data_only:
                self._keep(lambda change: change.node is node, began)
        else:
            self._keep(lambda change: node.path in change.folders, began)

    def _keep(self, which: Callable[[_NameChange], bool], began: int) -> None:
        later = []
        for change in self._pending:
            if change.number < began and which(change):
                change.apply(self.durable)
            else:
                later.append(change)
        self._pending = later

    def settle(self, dice: Dice) -> int:
        """Throw the dice over all that is not durable; return how many changes that concerned."""
        files = self.files
        lost = len(self._pending)
        for change in self._pending:
            if dice.survives():
                change.apply(self.durable)
        self._pending = []
        return lost + sum(file.settle(dice) for file in files)
