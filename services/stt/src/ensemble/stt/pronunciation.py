"""How words are said: a dictionary, and rules for the words it lacks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

# Longest spelling first; enough for a name of a room or a device that no dictionary has.
_RULES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = tuple(
    sorted(
        {
            "tion": ("SH", "AH", "N"), "sion": ("ZH", "AH", "N"), "ough": ("AO",),
            "igh": ("AY",), "tch": ("CH",), "dge": ("JH",), "eau": ("OW",), "air": ("EH", "R"),
            "ear": ("IH", "R"), "eer": ("IH", "R"), "our": ("AO", "R"), "ch": ("CH",),
            "sh": ("SH",), "th": ("TH",), "ph": ("F",), "gh": ("G",), "ck": ("K",),
            "qu": ("K", "W"), "wh": ("W",), "wr": ("R",), "kn": ("N",), "ng": ("NG",),
            "ai": ("EY",), "ay": ("EY",), "ea": ("IY",), "ee": ("IY",), "ei": ("EY",),
            "ey": ("IY",), "ie": ("IY",), "oa": ("OW",), "oe": ("OW",), "oi": ("OY",),
            "oy": ("OY",), "oo": ("UW",), "ou": ("AW",), "ow": ("AW",), "au": ("AO",),
            "aw": ("AO",), "ew": ("UW",), "ue": ("UW",), "ui": ("UW",), "ar": ("AA", "R"),
            "er": ("ER",), "ir": ("ER",), "ur": ("ER",), "or": ("AO", "R"), "bb": ("B",),
            "cc": ("K",), "dd": ("D",), "ff": ("F",), "gg": ("G",), "ll": ("L",), "mm": ("M",),
            "nn": ("N",), "pp": ("P",), "rr": ("R",), "ss": ("S",), "tt": ("T",), "zz": ("Z",),
            "ce": ("S", "EH"), "ci": ("S", "IH"), "ge": ("JH", "EH"), "gi": ("JH", "IH"),
            "a": ("AE",), "b": ("B",), "c": ("K",), "d": ("D",), "e": ("EH",), "f": ("F",),
            "g": ("G",), "h": ("HH",), "i": ("IH",), "j": ("JH",), "k": ("K",), "l": ("L",),
            "m": ("M",), "n": ("N",), "o": ("AA",), "p": ("P",), "q": ("K",), "r": ("R",),
            "s": ("S",), "t": ("T",), "u": ("AH",), "v": ("V",), "w": ("W",),
            "x": ("K", "S"), "y": ("IY",), "z": ("Z",),
        }.items(),
        key=lambda rule: -len(rule[0]),
    )
)  # fmt: skip

_DIGITS: Final[dict[str, tuple[str, ...]]] = {
    "0": ("Z", "IH", "R", "OW"), "1": ("W", "AH", "N"), "2": ("T", "UW"), "3": ("TH", "R", "IY"),
    "4": ("F", "AO", "R"), "5": ("F", "AY", "V"), "6": ("S", "IH", "K", "S"),
    "7": ("S", "EH", "V", "AH", "N"), "8": ("EY", "T"), "9": ("N", "AY", "N"),
}  # fmt: skip

_VOWELS: Final = "aeiouy"
_LONG: Final = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW", "y": "AY"}


def spell_out(word: str) -> tuple[str, ...]:
    """Return a guess at the phones of ``word`` (ARPAbet); empty for one without letters."""
    phones: list[str] = []
    position = 0
    while position < len(word):
        rest = word[position:]
        if rest[0] in _DIGITS:
            phones.extend(_DIGITS[rest[0]])
            position += 1
            continue
        # A vowel, one consonant and a final e: the vowel is long, the e silent.
        if len(rest) == 3 and rest[0] in _LONG and rest[1] not in _VOWELS and rest[2] == "e":
            phones.append(_LONG[rest[0]])
            phones.extend(spell_out(rest[1]))
            break
        for spelling, sounds in _RULES:
            if rest.startswith(spelling):
                phones.extend(sounds)
                position += len(spelling)
                break
        else:
            position += 1
    return tuple(phones)


def look_up(words: Iterable[str], dictionary: Path) -> dict[str, list[str]]:
    """Return the pronunciations of those ``words`` that ``dictionary`` has.

    Args:
        words: Words, lower case.
        dictionary: A CMU dictionary: ``word phones`` a line, further ways as ``word(2)``.
    """
    wanted = set(words)
    found: dict[str, list[str]] = {}
    with dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            head, _, phones = line.partition(" ")
            word = head.partition("(")[0]
            if word in wanted:
                found.setdefault(word, []).append(phones.strip())
    return found
