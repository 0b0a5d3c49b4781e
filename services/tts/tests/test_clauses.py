# ruff: noqa: RUF001 - punctuation of many scripts
"""Where a stream of text is cut."""

import random
from collections.abc import Callable

import pytest

from ensemble.tts.clauses import MAX_WEIGHT, ClauseCutter
from ensemble.tts.speakable import is_pronounceable, speakable, weight

pytestmark = pytest.mark.unit


def cut(text: str, size: Callable[[], int] = lambda: 1 << 20) -> list[str]:
    """Return the clauses of ``text`` fed in pieces, after checking their spans."""
    cutter = ClauseCutter()
    clauses = []
    position = 0
    while position < len(text):
        step = size()
        cutter.feed(text[position : position + step])
        position += step
        while clause := cutter.next():
            clauses.append(clause)
    cutter.end()
    while clause := cutter.next():
        clauses.append(clause)
    end = 0
    for clause in clauses:
        assert clause.start == end
        assert clause.text == text[clause.start : clause.end]
        end = clause.end
    assert end == len(text)
    assert cutter.pending == 0
    return [clause.text for clause in clauses]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello world. How are you?", ["Hello world.", " How are you?"]),
        ("Dr. Smith met Mr. Jones. They left.", ["Dr. Smith met Mr. Jones.", " They left."]),
        ("It is 3.5 metres. Good.", ["It is 3.5 metres.", " Good."]),
        ("It costs $1,234.50 now.", ["It costs $1,234.50 now."]),
        ("Bring fruit, e.g. apples. Thanks.", ["Bring fruit, e.g. apples.", " Thanks."]),
        (
            "At 5 p.m. we eat. At 9 p.m. Bob left.",
            ["At 5 p.m. we eat.", " At 9 p.m.", " Bob left."],
        ),
        ("J. R. Smith lives.", ["J. R. Smith lives."]),
        ("So do I. Really.", ["So do I.", " Really."]),
        ("See No. 5. No. I won't.", ["See No. 5.", " No.", " I won't."]),
        ("Well... maybe. Or not", ["Well...", " maybe.", " Or not"]),
        ("What?! No way!", ["What?!", " No way!"]),
        ('He said "stop." Then he left.', ['He said "stop."', " Then he left."]),
        ("(It works.) Good.", ["(It works.)", " Good."]),
        ("See example.com or v1.2.3 today.", ["See example.com or v1.2.3 today."]),
        ("Buy:\n- milk\n- eggs\n", ["Buy:\n", "- milk\n", "- eggs\n"]),
        ("1. Buy milk.\n2. Sleep.", ["1. Buy milk.", "\n2. Sleep."]),
        ("你好。今天天气很好！是吗？", ["你好。", "今天天气很好！", "是吗？"]),
        ("「本当？」はい。", ["「本当？」", "はい。"]),
        ("Yes, I do.", ["Yes, I do."]),
        ("The kitchen light is on, and so on.", ["The kitchen light is on,", " and so on."]),
        ("No\r\nway", ["No\r", "\nway"]),
        ("Jan. 5 is fine.", ["Jan. 5 is fine."]),
        ("Wait… what", ["Wait…", " what"]),
    ],
)
def test_cuts_fall_where_a_speaker_would_pause(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_later_clauses_are_cut_at_a_comma_only_when_they_are_long() -> None:
    short = "First this happens. Then this, and that, and more."
    assert cut(short) == ["First this happens.", " Then this, and that, and more."]
    long = (
        "It begins. This one goes on and on for quite a while before there is any pause in it, "
        "and then – finally – it ends; at last."
    )
    assert cut(long)[1].endswith("any pause in it,")


@pytest.mark.parametrize("seed", range(20))
def test_how_the_text_arrives_never_moves_a_cut(seed: int) -> None:
    chance = random.Random(seed)
    alphabet = ["ab", "Dr.", " ", ". ", ", ", ";", "!", "?", "…", "。", "，", "「", "」", "—"]
    alphabet += [" - ", "\n", "37", "é", "e\u0301", "😀", "👨\u200d👩", "A", '"', ")", "x" * 90]
    alphabet += [" " * 70]
    for _ in range(25):
        text = "".join(chance.choice(alphabet) for _ in range(chance.randint(0, 120)))
        whole = cut(text)
        assert cut(text, lambda: 1) == whole
        assert cut(text, lambda: chance.choice([1, 2, 3, 7, 40, 300])) == whole


def test_no_clause_is_too_heavy_to_say() -> None:
    for text in ("word " * 400, "x" * 3000, "9" * 1000, "%" * 500, "字" * 700, " " * 2000):
        clauses = cut(text)
        assert all(sum(map(weight, clause)) <= MAX_WEIGHT for clause in clauses)
    assert all(clause.endswith("word") for clause in cut("word " * 400)[:-1])


def test_a_long_run_is_not_cut_between_a_letter_and_its_accent() -> None:
    for clause in cut("e\u0301" * 1000)[1:]:
        assert not clause.startswith("\u0301")


def test_a_flush_ends_the_clause_and_an_empty_one_does_nothing() -> None:
    cutter = ClauseCutter()
    cutter.flush()
    assert cutter.next() is None
    cutter.feed("Half a senten")
    assert cutter.next() is None
    cutter.flush()
    cutter.flush()
    first = cutter.next()
    assert first is not None
    assert first.text == "Half a senten"
    assert cutter.next() is None
    cutter.feed("ce. Next")
    second = cutter.next()
    assert second is not None
    assert (second.text, second.start) == ("ce", 13) or second.text == "ce."


def test_a_clause_is_out_as_soon_as_it_is_known_to_be_complete() -> None:
    cutter = ClauseCutter()
    cutter.feed("The light is burning.")
    assert cutter.next() is None
    cutter.feed(" ")
    assert cutter.next() is not None


def test_many_tiny_pieces_are_held_compactly() -> None:
    cutter = ClauseCutter()
    for _ in range(100_000):
        cutter.feed("x")
    assert cutter.pending == 100_000
    total = 0
    cutter.end()
    while clause := cutter.next():
        total += len(clause.text)
    assert total == 100_000


def test_what_is_not_said_becomes_spaces_of_the_same_length() -> None:
    text = "Good *news* 😀 costs $5 \x00 [[x]] caf\u00e9 e\u0301"
    plain = speakable(text)
    assert len(plain) == len(text)
    assert plain.split() == ["Good", "news", "costs", "$5", "x", "caf\u00e9", "e\u0301"]
    assert is_pronounceable("%")
    assert not is_pronounceable(speakable("😀 … — !"))
