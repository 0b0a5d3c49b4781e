"""Memory of processes, as the kernel counts it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Megabytes (10^6 bytes) of one process or of several.

    Attributes:
        rss: Resident, with pages that others share.
        pss: Resident, each shared page divided among those who share it.
    """

    rss: float
    pss: float

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.rss + other.rss, self.pss + other.pss)


NOTHING = Memory(0.0, 0.0)


def memory(pid: int) -> Memory:
    """Return the memory of one process, its children not counted."""
    kilobytes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    return Memory(kilobytes["Rss"] * 1024 / 1e6, kilobytes["Pss"] * 1024 / 1e6)


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` started and that live."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Return the children of ``pid``, their children, and so on."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def total(pids: list[int]) -> Memory:
    """Return the memory of several processes together."""
    return sum((memory(pid) for pid in pids), NOTHING)
