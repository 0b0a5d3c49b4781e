import os
from pathlib import Path

import pytest

from ensemble.core.errors import ConfigurationError, UnauthenticatedError
from ensemble.gateway.keys import KeyRing, ensure_key_file

pytestmark = pytest.mark.unit


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "api-key"
    ensure_key_file(path)
    first = path.read_text()
    ensure_key_file(path)
    assert path.read_text() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["api-key"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "api-key"
    path.write_text("ens_x\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        ensure_key_file(path)


def test_a_folder_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((ConfigurationError, NotADirectoryError, FileExistsError)):
        ensure_key_file(tmp_path / "file" / "api-key")


def test_a_known_key_stands_for_its_principal(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# comment\nens_a\nens_b kitchen tablet\n\n")
    ring = KeyRing(path)
    assert ring.principal("Bearer ens_a") == "local"
    assert ring.principal("bearer ens_b") == "kitchen tablet"
    for wrong in ("", "Bearer", "Bearer ", "Basic ens_a", "Bearer ens_c", "Bearer #"):
        with pytest.raises(UnauthenticatedError):
            ring.principal(wrong)


def test_key_and_name_may_stand_apart_in_any_way(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("ens_a\talice\n  \n  ens_b   kitchen tablet \n")
    ring = KeyRing(path)
    assert ring.principal("Bearer ens_a") == "alice"
    assert ring.principal("Bearer ens_b") == "kitchen tablet"


def test_a_key_that_is_added_works_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("ens_a\n")
    ring = KeyRing(path)
    ring.principal("Bearer ens_a")
    path.write_text("ens_longer_key\n")
    assert ring.principal("Bearer ens_longer_key") == "local"
    with pytest.raises(UnauthenticatedError):
        ring.principal("Bearer ens_a")


def test_a_lost_key_file_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(UnauthenticatedError, match="cannot read"):
        KeyRing(tmp_path / "nothing").principal("Bearer ens_a")
