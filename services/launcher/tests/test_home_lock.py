import os
from pathlib import Path

import pytest

from ensemble.core.errors import ConfigurationError, StorageLockedError
from ensemble.launcher.home_lock import hold_home

pytestmark = pytest.mark.unit


def test_a_home_is_held_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_HOME", str(tmp_path / "home"))
    with hold_home():
        assert (tmp_path / "home" / "models").is_dir()
        with pytest.raises(StorageLockedError, match=str(os.getpid())), hold_home():
            pass
    with hold_home():
        pass


def test_a_home_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENSEMBLE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(ConfigurationError, match="ENSEMBLE_HOME"), hold_home():
        pass
