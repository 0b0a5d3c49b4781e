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


def test_what_may_yet_come_is_tried_again_and_nobody_is_told_that_all_is_ready(
    tmp_path: Path,
) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "ensemble.launcher", "up", "--services", "orchestrator,tool-server"],
        env={
            **os.environ,
            "ENSEMBLE_HOME": str(tmp_path),
            "ENSEMBLE_ORCHESTRATOR_STORE": "postgresql://nobody@127.0.0.1:1/nothing",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    try:
        said = []
        for line in running.stderr:
            said += [line] * line.startswith("ensemble: ")
            if "up at" in line or "ready at" in line:
                break
        assert running.poll() is None
    finally:
        running.terminate()
        running.communicate(timeout=100)
    assert running.returncode == 0
    assert "orchestrator did not start, and is tried again: " in "".join(said)
    assert "without orchestrator" in said[-1]
