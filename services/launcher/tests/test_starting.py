"""A start that cannot succeed ends, and says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "command", [["serve", "world-model"], ["up", "--services", "world-model,tool-server"]]
)
def test_a_store_that_cannot_be_opened_ends_the_command(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "world.db").write_text("no database")
    done = subprocess.run(
        [sys.executable, "-m", "ensemble.launcher", *command],
        env={
            **os.environ,
            "ENSEMBLE_HOME": str(tmp_path),
            "ENSEMBLE_WORLD_MODEL_LISTEN": f"unix:{tmp_path}/w",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert "ensemble: STORAGE_CORRUPT: world-model cannot start: " in done.stderr
    assert "ready at" not in done.stderr
