"""A folder on a disk that forgets."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.chaos.power_cut.lossy_disk.image import Dice, File, Folder, Image, parent
from tests.chaos.power_cut.lossy_disk.journal import Journal
from tests.chaos.power_cut.lossy_disk.library import create_journal, library

_CAPACITY = 1 << 30


class Disk:
    """Keeps what is durable (``kept``) beside what programs see (``root``).

    Args:
        folder: An absent or empty folder to work in; its owner owns all files.
        own_name_with_file: See the rule in the package's docstring.

    Attributes:
        root: The store's folder, from when the power is first on.
        kept: What survived the last cut; may be filled before the power is first on.
        lies_about: Pattern of names below the root; syncs of such files only seem to work,
            from when the power is on again.
    """

    def __init__(self, folder: Path, *, own_name_with_file: bool = False) -> None:
        folder = folder.resolve()
        self.root, self.kept = folder / "root", folder / "kept"
        self.kept.mkdir(mode=0o700, parents=True)
        self._journal_path = folder / "journal"
        self._own_name_with_file = own_name_with_file
        self.lies_about = ""
        self._journal: Journal | None = None
        self._image: Image | None = None

    def power_on(self, cut_at: int = 0) -> dict[str, str]:
        """Put what survived in place, and return what a program's environment must have.

        Args:
            cut_at: The power goes after so many changes, if not earlier; 0 for never.
        """
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", self.kept, self.root], check=True)
        nodes: dict[str, tuple[int, Path | None]] = {"": (self.root.stat().st_ino, None)}
        for folder, folders, files in os.walk(self.root):
            folders.sort()
            for name in (*folders, *sorted(files)):
                path = Path(folder, name)
                below = str(path.relative_to(self.root))
                original = self.kept / below if name in files else None
                nodes[below] = (path.stat().st_ino, original)
        self._image = Image(
            nodes, own_name_with_file=self._own_name_with_file, lies_about=self.lies_about
        )
        self._journal_path.unlink(missing_ok=True)
        create_journal(self._journal_path, _CAPACITY, cut_at)
        self._journal = Journal(self._journal_path)
        return {
            "LD_PRELOAD": str(library()),
            "POWER_CUT_ROOT": str(self.root),
            "POWER_CUT_JOURNAL": str(self._journal_path),
        }

    def cut_after(self, changes: int) -> None:
        """Let the power go after so many more changes."""
        assert self._journal is not None
        self._journal.cut_after(changes)

    @property
    def off(self) -> bool:
        """Whether the power has gone."""
        assert self._journal is not None
        return self._journal.frozen

    def wait_off(self, seconds: float) -> bool:
        """Wait until the power goes by itself; False if it did not within ``seconds``."""
        end = time.monotonic() + seconds
        while not self.off:
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def cut(self) -> None:
        """Cut the power: no change takes effect from here on. Then kill the store."""
        assert self._journal is not None
        self._journal.freeze()

    def settle(self, dice: Dice) -> int:
        """Work out what survived the cut, once the store was killed.

        Returns:
            How many writes and changes of names were not durable.

        Raises:
            AssertionError: The journal does not tell all that the programs did.
        """
        journal, image = self._journal, self._image
        assert journal is not None
        assert image is not None
        assert journal.frozen, "cut the power first"
        for record in journal:
            image.follow(record)
        self._compare(image)
        before = dict(image.initial)
        lost = image.settle(dice)
        self._write(before, image)
        journal.close()
        self._journal_path.unlink()
        self._journal = self._image = None
        return lost

    def _compare(self, image: Image) -> None:
        """The layer's own check: the journal leads to exactly what programs left behind."""
        seen: set[str] = {""}
        for folder, folders, files in os.walk(self.root):
            at = Path(folder).relative_to(self.root)
            seen |= {str(at / name) for name in (*folders, *files)}
        assert seen == set(image.live), f"names differ: {sorted(seen ^ set(image.live))}"
        for name, node in image.live.items():
            if isinstance(node, File) and not node.unseen:
                assert self._as_seen(name, node), f"{name} differs"

    def _as_seen(self, name: str, node: File) -> bool:
        path = self.root / name
        if node.touched:
            return node.live() == path.read_bytes()
        # A change gives it a new time, and copying keeps the old one.
        assert node.original is not None
        return path.stat().st_mtime_ns == node.original.stat().st_mtime_ns

    def _write(self, before: dict[str, File | Folder], image: Image) -> None:
        """Bring ``kept`` from the names it had to those that are durable now."""
        contents = {
            name: bytes(node.load())
            for name, node in image.durable.items()
            if isinstance(node, File) and (node.touched or before.get(name) is not node)
        }
        for name in sorted(before, reverse=True):  # what is inside a folder comes first
            if name and image.durable.get(name) is not before[name]:
                path = self.kept / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        owner = self.kept.stat()
        for name in sorted(image.durable):
            path = self.kept / name
            if not (self.kept / parent(name)).is_dir():
                continue  # it is in a folder that is gone
            if isinstance(image.durable[name], Folder):
                path.mkdir(mode=0o700, exist_ok=True)
            elif name in contents:
                path.write_bytes(contents[name])
                path.chmod(0o600)
            if path.stat().st_uid != owner.st_uid:
                os.chown(path, owner.st_uid, owner.st_gid)
