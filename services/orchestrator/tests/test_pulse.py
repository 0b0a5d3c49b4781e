"""Signs of life: given while nothing else is sent, and waited for."""

import asyncio

import pytest

from ensemble.core.services import HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT
from ensemble.orchestrator.pulse import Heard, Pulse, Vigil

pytestmark = pytest.mark.unit

LATE = 0.15
"""Seconds by which our own loop is late."""


def now() -> float:
    return asyncio.get_running_loop().time()


async def beaten(pulse: Pulse, at: float, beats: list[float]) -> bool:
    before = len(beats)
    assert pulse.turn(at)
    return len(beats) > before


async def test_it_beats_when_nothing_was_sent() -> None:
    beats: list[float] = []
    pulse = Pulse(lambda: beats.append(now()))
    async with asyncio.timeout(5):
        while len(beats) < 3:
            await asyncio.sleep(0.01)
    pulse.close()
    assert beats[1] - beats[0] > HEARTBEAT_INTERVAL / 2


async def test_what_was_sent_puts_it_off() -> None:
    beats: list[float] = []
    pulse = Pulse(lambda: beats.append(0.0))
    begin = now()
    assert not await beaten(pulse, begin + HEARTBEAT_INTERVAL / 2, beats)
    pulse.sent()
    assert pulse.due <= now() + HEARTBEAT_INTERVAL
    assert await beaten(pulse, now() + HEARTBEAT_INTERVAL, beats)
    pulse.close()
    assert not pulse.turn(now() + 10)


async def test_many_streams_beat_less_often_but_in_time() -> None:
    created = now()
    pulses = [Pulse(lambda: None) for _ in range(2000)]
    assert pulses[0].turn(created)
    assert pulses[0].due - created > HEARTBEAT_INTERVAL
    assert pulses[0].due - now() < HEARTBEAT_TIMEOUT
    for pulse in pulses:
        pulse.close()


class Silence:
    """A vigil whose turns are taken by the test, each when it is due."""

    def __init__(self, peer: Heard, limit: float = HEARTBEAT_TIMEOUT) -> None:
        self.lost = 0
        self.vigil = Vigil(peer, limit, self._lost)

    def _lost(self) -> None:
        self.lost += 1

    def goes_on(self, late: float = 0.0) -> bool:
        return self.vigil.turn(self.vigil.due + late)


async def test_a_silent_peer_is_lost_once() -> None:
    silence = Silence(Heard())
    assert not silence.goes_on()
    assert silence.lost == 1


async def test_a_peer_that_is_heard_is_not_lost() -> None:
    silence = Silence(Heard())
    begin = now()
    await asyncio.sleep(0.01)
    silence.vigil.heard()
    assert silence.goes_on()
    assert silence.vigil.due > begin + HEARTBEAT_TIMEOUT
    assert not silence.goes_on()


async def test_the_first_sign_may_take_longer() -> None:
    silence = Silence(Heard(), limit=2.0)
    assert silence.vigil.due >= now() + 1.9
    silence.vigil.heard()
    assert silence.vigil.turn(now())
    assert silence.vigil.due <= now() + HEARTBEAT_TIMEOUT


async def test_a_peer_heard_on_another_stream_is_only_late_for_a_while() -> None:
    peer = Heard()
    silence, other = Silence(peer), Silence(peer)
    for _ in range(2):
        peer.at = silence.vigil.due  # the other stream is heard all the time
        assert silence.goes_on()
    peer.at = silence.vigil.due
    assert not silence.goes_on(late=0.01)
    other.vigil.close()


async def test_time_in_which_our_own_loop_stood_still_does_not_count() -> None:
    silence = Silence(Heard())
    assert silence.goes_on(late=LATE)
    assert silence.lost == 0
    assert not silence.goes_on()
    assert silence.lost == 1


async def test_nobody_who_does_not_wait_loses_anything() -> None:
    silence = Silence(Heard())
    silence.vigil.pause()
    assert silence.goes_on()
    assert silence.goes_on()
    silence.vigil.resume()
    silence.vigil.close()
    assert not silence.goes_on()
    assert silence.lost == 0
