"""How far speech was played: as its client says, else by the clock."""

import pytest

from ensemble.orchestrator.playhead import Playhead

pytestmark = pytest.mark.unit

RATE = 16_000


async def test_what_its_client_had_heard_before_a_loss_is_not_waited_for_again() -> None:
    playhead = Playhead(RATE)
    playhead.begin()
    playhead.resume(0, 0, reported=True)
    playhead.pass_over(RATE)
    assert playhead.certain(reports=True) == RATE


async def test_a_client_that_reports_is_not_taken_at_the_clocks_word() -> None:
    playhead = Playhead(RATE)
    playhead.begin()
    playhead.sent = RATE
    assert playhead.certain(reports=True) == 0
    playhead.report(2 * RATE)  # no more than was sent
    assert playhead.certain(reports=True) == RATE
