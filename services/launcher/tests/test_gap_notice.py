"""What a person is told of a lost connection."""

import asyncio

import pytest

from ensemble.client.conversation import Gap
from ensemble.core.errors import ServiceUnavailableError
from ensemble.launcher import gap_notice
from ensemble.launcher.__main__ import main
from ensemble.launcher.connection import trying
from ensemble.launcher.gap_notice import GapNotice

pytestmark = pytest.mark.unit


async def test_a_short_loss_is_not_worth_a_line() -> None:
    lines: list[str] = []
    notice = GapNotice(lines.append)
    notice.lost(ServiceUnavailableError())
    notice.back(Gap("SERVICE_UNAVAILABLE", 0.1, 1))
    assert lines == []


async def test_one_that_lasts_is_told_and_so_is_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_notice, "_UNNOTICED_S", 0.0)
    lines: list[str] = []
    notice = GapNotice(lines.append)
    notice.lost(ServiceUnavailableError())
    while not lines:
        await asyncio.sleep(0)
    notice.back(Gap("SERVICE_UNAVAILABLE", 2.04, 7))
    assert lines == ["[the connection is lost; trying again]", "[back after 2.0 s]"]


async def test_nothing_is_told_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_notice, "_UNNOTICED_S", 0.0)
    lines: list[str] = []
    notice = GapNotice(lines.append)
    notice.lost(ServiceUnavailableError())
    notice.end()
    await asyncio.sleep(0.01)
    assert lines == []


def test_patience_is_for_the_first_connection_as_well_once_it_is_given() -> None:
    assert trying(None) == {}
    assert trying(3.0) == {"patience": 3.0, "connect_within": 3.0}


@pytest.mark.parametrize("command", ["ask", "chat", "talk"])
def test_patience_is_a_number_of_seconds(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--patience", "soon"])
    assert "not a number" in capsys.readouterr().err
