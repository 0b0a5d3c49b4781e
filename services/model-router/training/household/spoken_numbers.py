# ruff: noqa: SIM905 (lists read best with one pattern a line, words as prose)
"""Numbers as people say and write them."""

from random import Random

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def words(number: int, rng: Random) -> str:
    """`number` (0 to 9999) in words, with the variations people use."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        joint = "-" if rng.random() < 0.2 else " "
        return _TENS[tens] + (joint + _SMALL[ones] if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        head = "a" if hundreds == 1 and rng.random() < 0.4 else _SMALL[hundreds]
        joint = rng.choice((" and ", " ", " and "))
        return f"{head} hundred" + (joint + words(rest, rng) if rest else "")
    thousands, rest = divmod(number, 1000)
    return f"{words(thousands, rng)} thousand" + (" " + words(rest, rng) if rest else "")


def spoken(number: int, rng: Random, digits: float = 0.5) -> str:
    """`number` as digits with probability `digits`, else in words."""
    return str(number) if rng.random() < digits else words(number, rng)
