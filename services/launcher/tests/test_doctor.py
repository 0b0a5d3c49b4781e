import socket
from pathlib import Path

import pytest

from ensemble.launcher.doctor import examine
from ensemble.launcher.table import render

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_HOME", str(tmp_path))
    monkeypatch.delenv("CONSUL_HTTP_ADDR", raising=False)


def test_what_was_dropped_in_is_found(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "whisper").mkdir(parents=True)
    (models / "whisper" / "model.bin").write_text("")
    (models / "big.gguf").write_text("")
    (models / "amy.onnx").write_text("")
    (models / "amy.onnx.json").write_text("")
    found = {f.name: f.detail for f in examine()}
    assert found["models dropped in"] == "big.gguf"
    assert found["Whisper folders"] == "whisper"
    assert found["Piper voices"] == "amy.onnx"


def test_an_agent_that_is_configured_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("CONSUL_HTTP_ADDR", f"http://127.0.0.1:{port}")
        assert {f.name: f.state for f in examine()}["Consul agent"] == "ok"
    finding = {f.name: f for f in examine()}["Consul agent"]
    assert finding.state == "broken"
    assert finding.advice


def test_a_home_that_cannot_be_written_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_HOME", "/proc/ensemble")
    assert {f.name: f.state for f in examine()}["home"] == "broken"


def test_columns_are_aligned() -> None:
    assert render(("A", "B"), [("long", "x"), ("s", "")]) == "A     B\nlong  x\ns"
