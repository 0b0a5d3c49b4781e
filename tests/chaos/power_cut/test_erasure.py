"""What was erased does not come back after the power was cut."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.eventlog import SqliteEventLog, StreamKey
from tests.chaos.power_cut.lossy_disk.disk import Disk
from tests.chaos.power_cut.lossy_disk.image import Dice

pytestmark = pytest.mark.chaos

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from ensemble.eventlog import Append, SqliteEventLog, StreamKey

async def main():
    log = await SqliteEventLog.open(Path(sys.argv[1]))
    for name in ("erased", "kept"):
        for number in range(20):
            await log.append([Append(
                StreamKey("s", name), "said", f"payload of {name} {number}".encode() * 40,
                text=f"text of {name}", snapshot=f"snapshot of {name}".encode(),
            )])
    await log.erase([StreamKey("s", "erased")])
    print("erased", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


def erase_and_cut(disk: Disk, dice: Dice) -> bytes:
    """Erase a stream, cut the power, and return all that is on the disk."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, disk.root / "log.db"],
        env={**os.environ, **disk.power_on()}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"erased\n"
        disk.cut()
        process.kill()
    disk.settle(dice)
    return b"".join(path.read_bytes() for path in disk.kept.iterdir())


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.7, 1.0])
async def test_nothing_of_it_is_on_the_disk(tmp_path: Path, chance: float) -> None:
    disk = Disk(tmp_path / "disk")
    there = erase_and_cut(disk, Dice(random.Random(1), chance, 512))
    for what in (b"payload of erased", b"text of erased", b"snapshot of erased"):
        assert what not in there
    assert b"payload of kept" in there
    log = await SqliteEventLog.open(disk.kept / "log.db")
    audit = await log.audit(StreamKey("s", "erased"))
    assert (audit.intact, audit.events, audit.erased) == (True, 20, 20)
    assert (await log.audit(StreamKey("s", "kept"))).intact
    await log.close()


def test_a_disk_that_only_says_the_log_was_emptied_is_found_out(tmp_path: Path) -> None:
    def comes_back(seed: int) -> bool:
        disk = Disk(tmp_path / str(seed))
        disk.lies_about = "log.db-wal"
        there = erase_and_cut(disk, Dice(random.Random(seed), 0.5))
        return b"payload of erased" in there

    assert any(comes_back(seed) for seed in range(8))
