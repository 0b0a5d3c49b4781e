"""Processes that die are started again; none is left behind."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from ensemble.launcher.supervisor import Supervisor

pytestmark = pytest.mark.unit


async def test_a_killed_service_is_started_again_and_ends_with_the_rest(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "ENSEMBLE_HOME": str(tmp_path),
        "ENSEMBLE_WORLD_MODEL_LISTEN": f"unix:{tmp_path}/w",
    }
    supervisor = Supervisor(("world-model",), tmp_path / "logs", environ)
    await supervisor.start()
    try:
        first = supervisor.process_id("world-model")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(20):
            while supervisor.process_id("world-model") in (first, None):
                await asyncio.sleep(0.02)
        second = supervisor.process_id("world-model")
    finally:
        await supervisor.stop()
    assert supervisor.process_id("world-model") is None
    assert second is not None
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_a_service_that_cannot_start_is_given_up_with_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "world.db").write_text("no database")
    environ = {
        **os.environ,
        "ENSEMBLE_HOME": str(tmp_path),
        "ENSEMBLE_WORLD_MODEL_LISTEN": f"unix:{tmp_path}/w",
    }
    supervisor = Supervisor(("world-model",), tmp_path / "logs", environ)
    await supervisor.start()
    try:
        error = await asyncio.wait_for(supervisor.hopeless(), 120)
    finally:
        await supervisor.stop()
    assert "world-model ends again and again: STORAGE_CORRUPT: " in error.message
    assert "world.db is not an SQLite database" in error.message
    assert str(tmp_path / "logs" / "world-model.log") in error.message
