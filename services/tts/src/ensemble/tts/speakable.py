# ruff: noqa: RUF001 - symbols that are words
"""What of a text can be said, and roughly how long saying it takes."""

import unicodedata

_SPOKEN_SYMBOLS = frozenset("%‰$€£¥¢&@+=#°<>×÷±√²³½¼¾№§")
_SILENT_MARKS = frozenset("*_`~^|\\{}[]")
_ACCENTS = frozenset({"Mn", "Mc"})
_UNSPOKEN = frozenset({"So", "Sk", "Sm", "Cc", "Cf", "Cs", "Co", "Cn", "Me"})

_DIGIT_WEIGHT = 5
_SYMBOL_WEIGHT = 8
_IDEOGRAPH_WEIGHT = 4


def speakable(text: str) -> str:
    """Return ``text`` with every code point that nobody says turned into a space.

    Emoji, control characters and marks such as ``*`` go; the length stays, so that positions
    in the result are positions in ``text``.
    """
    return "".join(char if _is_kept(char) else " " for char in text)


def is_pronounceable(text: str) -> bool:
    """Return whether anything in ``text`` makes a sound."""
    return any(char.isalnum() or char in _SPOKEN_SYMBOLS for char in text)


def weight(char: str) -> int:
    """Return how long saying ``char`` takes, a letter being 1.

    It bounds the audio of a clause by its text: a digit or a symbol is a whole word.
    """
    if char.isascii():
        if char.isalpha() or char.isspace():
            return 1
        return _DIGIT_WEIGHT if char.isdigit() else _punctuation_weight(char)
    if char.isalpha():
        return _IDEOGRAPH_WEIGHT if is_ideograph(char) else 1
    if char.isnumeric():
        return _DIGIT_WEIGHT
    return _punctuation_weight(char)


def is_ideograph(char: str) -> bool:
    """Return whether ``char`` is a syllable or word of a script written without spaces."""
    code = ord(char)
    return (
        0x2E80 <= code <= 0x2FDF
        or 0x3040 <= code <= 0x30FF
        or 0x31F0 <= code <= 0x31FF
        or 0x3400 <= code <= 0x9FFF
        or 0xAC00 <= code <= 0xD7AF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )


def joins_previous(char: str) -> bool:
    """Return whether ``char`` is one with the code point before it, such as an accent."""
    return unicodedata.category(char) in _ACCENTS or char in "\u200d\ufe0e\ufe0f\u20e3"


def _is_kept(char: str) -> bool:
    if char.isascii():
        return char.isprintable() and char not in _SILENT_MARKS
    if char in _SPOKEN_SYMBOLS or char.isspace():
        return True
    return unicodedata.category(char) not in _UNSPOKEN


def _punctuation_weight(char: str) -> int:
    return _SYMBOL_WEIGHT if char in _SPOKEN_SYMBOLS else 1
