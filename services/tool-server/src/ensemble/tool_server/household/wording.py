"""Texts compared by what they say."""

import unicodedata
from typing import Final

_LEADING: Final = frozenset({"the", "a", "an", "my", "our", "your", "his", "her", "their"})


def words(text: str) -> tuple[str, ...]:
    """Return the words of ``text`` without case and punctuation."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return tuple("".join(c if c.isalnum() or c == "'" else " " for c in folded).split())


def subject(text: str) -> str:
    """Return the name under which ``text`` is remembered.

    Lower case, without the article or possessive it begins with; never empty where ``text``
    has a word.
    """
    found = list(words(text))
    while len(found) > 1 and found[0] in _LEADING:
        del found[0]
    return " ".join(found)


def singular(name: str) -> str:
    """Return ``name`` with its last word in the singular, as far as a rule can tell."""
    if name.endswith(("ss", "us", "is", "'s")) or not name.endswith("s") or len(name) < 4:
        return name
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-2] if name.endswith(("ches", "shes", "xes", "sses")) else name[:-1]
