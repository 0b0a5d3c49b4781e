"""How the events of a segment are packed."""

import random

import pytest

from ensemble.eventlog.segments import (
    NoSegmentError,
    codes_of,
    count,
    kinds_of,
    pack,
    unknown,
    unpack,
)

pytestmark = pytest.mark.unit

SIZES = [0, 1, 127, 128, 16_383, 16_384, 100_000]


def test_one_payload_stands_as_it_is() -> None:
    for size in SIZES:
        payload = b"\xff" * size
        assert pack([payload]) == payload
        assert unpack(payload, 1) == [payload]


def test_what_is_unpacked_is_what_was_packed() -> None:
    chance = random.Random(5)
    for _ in range(200):
        payloads = [chance.randbytes(chance.choice(SIZES)) for _ in range(chance.randint(2, 9))]
        assert unpack(pack(payloads), len(payloads)) == payloads


@pytest.mark.parametrize("packed", [b"", b"\x05abc", b"\x80", b"\xff" * 20])
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(NoSegmentError):
        unpack(packed, 2)


def test_codes_of_any_size() -> None:
    codes = [1, 127, 128, 300, 20_000, 2]
    kinds = {code: (f"type {code}", code) for code in codes}
    for some in (codes, codes[:2], codes[2:3]):
        types = codes_of(some)
        assert count(types) == len(some)
        assert kinds_of(types, kinds) == tuple(kinds[code] for code in some)
        assert not unknown(types, kinds)
    assert unknown(codes_of([3]), kinds)
    assert kinds_of(codes_of([1, 3]), kinds) == ()
    assert kinds_of(b"\x81", kinds) == ()
    assert not unknown(b"\x81", kinds)
