"""The layer itself: what it keeps, and what it drops."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.power_cut.lossy_disk.disk import Disk
from tests.chaos.power_cut.lossy_disk.image import Dice

pytestmark = pytest.mark.chaos

_PRELUDE = """
import os, sys
os.chdir(sys.argv[1])
def write(name, data, at=0, flags=0):
    fd = os.open(name, os.O_RDWR | os.O_CREAT | flags, 0o600)
    os.pwrite(fd, data, at)
    return fd
def sync(name):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""
NOTHING = Dice(random.Random(0))
EVERYTHING = Dice(random.Random(0), chance=1.0)


@pytest.fixture(params=[False, True], ids=["posix", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "disk", own_name_with_file=request.param)
    (disk.kept / "old").write_bytes(b"old content")
    (disk.kept / "folder").mkdir()
    return disk


def run(disk: Disk, program: str, dice: Dice = NOTHING, cut_at: int = 0) -> int:
    environment = {**os.environ, **disk.power_on(cut_at)}
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", _PRELUDE + program, disk.root], env=environment
    )
    if cut_at:
        assert disk.wait_off(30)
        process.kill()
        process.wait()
    else:
        assert process.wait(30) == 0
        disk.cut()
    return disk.settle(dice)


def kept(disk: Disk) -> dict[str, bytes]:
    return {
        str(path.relative_to(disk.kept)): path.read_bytes()
        for path in disk.kept.rglob("*")
        if path.is_file()
    }


def test_what_was_not_synced_is_lost(disk: Disk) -> None:
    assert run(disk, "write('old', b'NEW'); write('new', b'x')") == 3
    assert kept(disk) == {"old": b"old content"}


@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_what_was_synced_is_kept_and_what_came_later_is_not(disk: Disk, call: str) -> None:
    run(disk, f"fd = write('old', b'NEW'); os.{call}(fd); write('old', b'LATER', 100)")
    assert kept(disk) == {"old": b"NEW content"}


def test_a_sync_of_another_file_keeps_nothing(disk: Disk) -> None:
    run(disk, "write('old', b'NEW'); os.fsync(write('folder/other', b'x')); sync('folder')")
    assert kept(disk) == {"old": b"old content", "folder/other": b"x"}


def test_a_synchronous_descriptor_needs_no_sync(disk: Disk) -> None:
    run(disk, "write('old', b'lost', 4); write('old', b'NEW', 0, os.O_DSYNC)")
    assert kept(disk) == {"old": b"NEW content"}


def test_a_new_name_needs_a_sync_of_its_folder(disk: Disk) -> None:
    run(disk, "os.fdatasync(write('new', b'x'))")
    assert "new" not in kept(disk)
    run(disk, "os.fsync(write('new', b'x')); sync('.')")
    assert kept(disk)["new"] == b"x"


def test_a_new_name_alone_leaves_an_empty_file(disk: Disk) -> None:
    run(disk, "write('new', b'x'); sync('.')")
    assert kept(disk)["new"] == b""


def test_a_rename_needs_a_sync_of_its_folder(disk: Disk) -> None:
    program = "os.fsync(write('temporary', b'NEW')); sync('.'); os.rename('temporary', 'old')"
    run(disk, program)
    assert kept(disk) == {"old": b"old content", "temporary": b"NEW"}
    run(disk, "os.rename('temporary', 'old'); sync('.')")
    assert kept(disk) == {"old": b"NEW"}


def test_only_where_it_is_so_a_file_keeps_its_own_new_name(tmp_path: Path) -> None:
    for own_name in (False, True):
        disk = Disk(tmp_path / str(own_name), own_name_with_file=own_name)
        run(disk, "os.fsync(write('new', b'x'))")
        assert ("new" in kept(disk)) is own_name


def test_an_unlink_needs_a_sync_of_its_folder(disk: Disk) -> None:
    run(disk, "os.unlink('old')")
    assert kept(disk) == {"old": b"old content"}
    run(disk, "os.unlink('old'); sync('.')")
    assert kept(disk) == {}


def test_folders_too(disk: Disk) -> None:
    run(disk, "os.mkdir('deep'); os.fsync(write('deep/file', b'x')); sync('deep')")
    assert kept(disk) == {"old": b"old content"}
    run(disk, "os.mkdir('deep'); sync('.'); write('deep/file', b''); sync('deep')")
    assert kept(disk)["deep/file"] == b""
    run(disk, "os.unlink('deep/file'); os.rmdir('deep'); sync('.')")
    assert not (disk.kept / "deep").exists()


def test_a_file_that_replaces_one_of_its_name_is_another_file(disk: Disk) -> None:
    run(disk, "os.unlink('old'); os.fdatasync(write('old', b'NEW'))")
    assert kept(disk) == {"old": b"old content"}
    run(disk, "os.unlink('old'); os.fdatasync(write('old', b'NEW')); sync('.')")
    assert kept(disk) == {"old": b"NEW"}


def test_a_truncation_is_lost_too(disk: Disk) -> None:
    run(disk, "os.truncate('old', 3)")
    assert kept(disk) == {"old": b"old content"}
    run(disk, "fd = write('old', b''); os.ftruncate(fd, 3); os.fsync(fd)")
    assert kept(disk) == {"old": b"old"}
    run(disk, "fd = write('old', b''); os.posix_fallocate(fd, 0, 5); os.fsync(fd)")
    assert kept(disk) == {"old": b"old\0\0"}


def test_all_that_was_not_synced_may_survive(disk: Disk) -> None:
    run(disk, "write('old', b'NEW'); os.rename('old', 'folder/new')", EVERYTHING)
    assert kept(disk) == {"folder/new": b"NEW content"}


@pytest.mark.parametrize("sector", [512, 4096])
def test_of_a_write_any_sectors_may_survive(disk: Disk, sector: int) -> None:
    (disk.kept / "old").write_bytes(bytes(20 * 4096))
    dice = Dice(random.Random(1), chance=0.5, sector=sector)
    run(disk, "write('old', bytes([1]) * 4096 * 20); write('old', bytes([2]) * 4096 * 10)", dice)
    content = kept(disk)["old"]
    sectors = [set(content[at : at + sector]) for at in range(0, len(content), sector)]
    assert all(len(values) == 1 for values in sectors)
    assert {min(values) for values in sectors} == {0, 1, 2}


def test_the_same_seed_gives_the_same_image(tmp_path: Path) -> None:
    images = []
    for number in range(2):
        disk = Disk(tmp_path / str(number))
        run(disk, "[write(f'f{n}', bytes([n]) * 9999) for n in range(20)]",
            Dice(random.Random(5), 0.5, 512))  # fmt: skip
        images.append(kept(disk))
    assert images[0] == images[1] != {}


def test_the_power_goes_after_a_given_change_and_nothing_follows(disk: Disk) -> None:
    program = (
        "fd = write('old', b'')\nfor n in range(99):\n  os.write(fd, b'%02d' % n); os.fsync(fd)"
    )
    # Three records a round: write, sync begins, sync ends.
    run(disk, program, cut_at=3 * 7)
    assert kept(disk)["old"] == b"00010203040506"
    run(disk, program.replace("99", "88"), cut_at=3 * 7 - 1)
    assert kept(disk)["old"] == b"00010203040506"  # the sync had not ended, but was there before


def test_a_sync_covers_only_what_was_written_before_it_began(disk: Disk) -> None:
    program = """
import threading
fd = write('old', b'0000')
os.ftruncate(fd, 4)
end = threading.Event()
def syncs():
    while not end.is_set():
        os.fdatasync(fd)
thread = threading.Thread(target=syncs)
thread.start()
for n in range(2000):
    os.pwrite(fd, b'%04d' % n, 4 * n)
os.fsync(fd)
end.set()
thread.join()
os.pwrite(fd, b'last', 8000)
"""
    run(disk, program)
    content = kept(disk)["old"]
    assert content.startswith(b"0000")
    numbers = [int(content[at : at + 4]) for at in range(0, len(content), 4)]
    assert numbers == list(range(len(numbers)))


def test_all_processes_share_one_disk(disk: Disk) -> None:
    program = """
fd = write('old', b'')
if os.fork() == 0:
    os.pwrite(fd, b'NEW', 0)
    os._exit(0)
os.wait()
os.fsync(fd)
"""
    run(disk, program)
    assert kept(disk) == {"old": b"NEW content"}


def test_a_process_that_dies_inside_holds_up_nobody(disk: Disk) -> None:
    program = """
import signal, time
# One that dies inside leaves no record: what it writes is what is there already.
fd = write('folder/other', bytes(4096))
for _ in range(50):
    child = os.fork()
    if child == 0:
        while True:
            os.pwrite(fd, bytes(4096), 0)
    time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.wait()
os.fsync(write('old', b'NEW'))
"""
    run(disk, program)
    assert kept(disk)["old"] == b"NEW content"


@pytest.mark.parametrize("missed", ["a write", "a name", "a write to a file it knows"])
def test_what_the_journal_missed_is_noticed(disk: Disk, missed: str) -> None:
    environment = {**os.environ, **disk.power_on()}
    program = "write('new', b'x')"
    subprocess.run(
        [sys.executable, "-c", _PRELUDE + program, disk.root], env=environment, check=True
    )
    name = {"a write": "old", "a name": "other"}.get(missed, "new")
    (disk.root / name).write_bytes(b"behind its back")
    disk.cut()
    with pytest.raises(AssertionError, match="differ"):
        disk.settle(NOTHING)


def test_memory_that_changes_while_it_is_written_is_journalled_as_it_was_written(
    disk: Disk,
) -> None:
    program = """
import mmap
parent = os.getpid()
memory = mmap.mmap(-1, 1 << 18)
if os.fork() == 0:
    while os.getppid() == parent:
        for value in range(256):
            memory[:] = bytes([value]) * len(memory)
    os._exit(0)
fd = write('old', b'')
for _ in range(100):
    os.pwrite(fd, memory, 0)
os.fsync(fd)
"""
    run(disk, program)
    assert len(kept(disk)["old"]) == 1 << 18
