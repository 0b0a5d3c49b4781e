import pytest

from ensemble.core.errors import RateLimitedError, TooManyStreamsError
from ensemble.gateway.limits import RateLimit, StreamLimit

pytestmark = pytest.mark.unit


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    now = [100.0]
    limit = RateLimit(10, 3, clock=lambda: now[0])
    for _ in range(3):
        limit.check("a")
    with pytest.raises(RateLimitedError) as caught:
        limit.check("a")
    assert caught.value.retry_after == pytest.approx(0.1)
    limit.check("b")
    now[0] += 0.11
    limit.check("a")


def test_the_one_not_seen_for_longest_is_forgotten() -> None:
    limit = RateLimit(0.001, 1, clock=lambda: 0.0)
    limit.check("first")
    for number in range(10_000):
        limit.check(f"p{number}")
    limit.check("first")
    assert limit.take("p9999") > 0


def test_streams_are_counted_for_each_principal() -> None:
    limit = StreamLimit(1)
    with limit.hold("a"):
        with limit.hold("b"):
            pass
        with pytest.raises(TooManyStreamsError), limit.hold("a"):
            pass
    with limit.hold("a"):
        pass
