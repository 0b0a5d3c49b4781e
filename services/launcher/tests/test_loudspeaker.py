"""What was played of which answer, when one follows another."""

import pytest

from ensemble.launcher.loudspeaker import Loudspeaker

pytestmark = pytest.mark.unit


def play(speaker: Loudspeaker, samples: int) -> bytes:
    out = bytearray(b"\xff" * 2 * samples)
    speaker.fill(out, samples, None, None)
    return bytes(out)


def test_the_next_answer_counts_from_where_it_is_heard() -> None:
    speaker = Loudspeaker()
    speaker.add("a", b"\x01\x00" * 6)
    assert play(speaker, 4) == b"\x01\x00" * 4
    speaker.add("b", b"\x02\x00" * 6)
    assert (speaker.response_id, speaker.played) == ("a", 4)
    assert play(speaker, 4) == b"\x01\x00" * 2 + b"\x02\x00" * 2
    assert (speaker.response_id, speaker.played) == ("b", 2)
    assert play(speaker, 8) == b"\x02\x00" * 4 + bytes(8)
    assert speaker.heard("b") == 6


def test_what_was_flushed_is_not_heard() -> None:
    speaker = Loudspeaker()
    speaker.add("a", b"\x01\x00" * 6)
    speaker.flush()
    assert play(speaker, 3) == bytes(6)
    assert speaker.heard("a") == 0
