"""Values that one of the stores cannot keep are refused before they reach any."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ensemble.core.errors import InvalidArgumentError
from ensemble.eventlog import Append, Execution, StreamKey

pytestmark = pytest.mark.unit

KEY = StreamKey("session", "one")


@pytest.mark.parametrize("bad", ["nul\0l", "\0", "\ud800", "x\udfffy"])
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: StreamKey("session", bad),
        lambda bad: StreamKey(bad, "one"),
        lambda bad: Append(KEY, bad, b""),
        lambda bad: Append(KEY, "t", b"", owner=bad),
        lambda bad: Append(KEY, "t", b"", mark=bad),
        lambda bad: Execution(bad),
        lambda bad: Execution("e", agent=bad),
        lambda bad: Execution("e", model=bad),
        lambda bad: Execution("e", status=bad),
    ],
)
def test_characters_that_no_store_keeps(make: Callable[[str], object], bad: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        make(bad)
    assert not caught.value.retryable
    assert bad not in caught.value.message


@pytest.mark.parametrize("version", [-1, 2**31])
def test_versions_that_are_none(version: int) -> None:
    with pytest.raises(InvalidArgumentError):
        Append(KEY, "t", b"", schema_version=version)


@pytest.mark.parametrize(
    "numbers",
    [
        {"input_tokens": 2**63},
        {"output_tokens": -(2**63) - 1},
        {"latency_ms": 2**64},
        {"cost_usd": Decimal("nan")},
        {"cost_usd": Decimal("inf")},
        {"cost_usd": Decimal("1e10")},
    ],
)
def test_numbers_that_are_too_large(numbers: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError):
        Execution("e", **numbers)
