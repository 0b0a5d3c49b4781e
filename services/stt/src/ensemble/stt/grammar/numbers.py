"""English words of whole numbers, the way they are spoken."""

from collections.abc import Sequence
from typing import Final

LARGEST: Final = 999
"""Numbers above this have no words here."""

_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip


def spoken(number: int) -> Sequence[tuple[str, ...]]:
    """Return every way to say ``number``: 105 is "one hundred five" or "a hundred and five".

    Raises:
        ValueError: ``number`` is negative or above ``LARGEST``.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"no words for {number}")
    if number < 20:
        return [(_SMALL[number],)]
    if number < 100:
        tens, units = divmod(number, 10)
        return [(_TENS[tens], *((_SMALL[units],) if units else ()))]
    hundreds, rest = divmod(number, 100)
    heads = [(_SMALL[hundreds], "hundred")]
    if hundreds == 1:
        heads.append(("a", "hundred"))
    if not rest:
        return heads
    tails = spoken(rest)
    return [(*head, *joint, *tail) for head in heads for joint in ((), ("and",)) for tail in tails]
