"""Phrase patterns and the noise of real typing.

A pattern is text with `(a|b)` alternatives, `[x]` optional parts and `{slot}` values.
"""

import re
import zlib
from collections.abc import Mapping
from functools import cache
from random import Random

# A pattern is a sequence of texts and of choices between patterns.
Pattern = list["str | list[Pattern]"]

_DROPPABLE = {"the", "a", "an"}
_PREFIXES = (
    "please ", "please ", "please ", "can you ", "could you ", "can you please ",
    "could you please ", "would you ", "hey, ", "hey ", "ok ", "okay, ", "so ", "now ", "hi, ",
    "hello, ", "i want you to ", "i would like you to ", "i need you to ", "go ahead and ",
    "would you please ", "would you mind and ", "um ", "uh, ", "well, ", "alright, ", "and ",
    "hey assistant, ", "assistant, ", "hey ensemble, ", "computer, ", "quickly ", "just ",
    "will you ", "could you maybe ", "kindly ", "ok now ", "right, ", "then ", "excuse me, ",
    "i'd like you to ", "do me a favour and ",
)  # fmt: skip
_SUFFIXES = (
    " please", " please", ", please", " now", " right now", " for me", " for me please", " thanks",
    ", thank you", ", would you", ", ok", " if you can", " at once", " quickly", " again",
    " will you", ", thanks", " immediately", " now please", ", could you", " if possible",
    " when you can", " this time",
)  # fmt: skip
_QUESTION_PREFIXES = (
    "hey, ", "hey ", "ok ", "so ", "please, ", "hi, ", "um, ", "excuse me, ", "assistant, ",
    "hey ensemble, ", "quick question, ", "well, ", "now ", "and ", "sorry, ", "computer, ",
    "please tell me ", "tell me, ",
)  # fmt: skip
_QUESTION_SUFFIXES = (" please", ", please", " now", " right now", " at the moment", " thanks")
_CONTRACTIONS = (
    ("what is", "what's"), ("who is", "who's"), ("where is", "where's"), ("when is", "when's"),
    ("how is", "how's"), ("i am ", "i'm "), ("you are", "you're"), ("it is", "it's"),
    ("do not", "don't"), ("i will", "i'll"), ("i would", "i'd"), ("cannot", "can't"),
)  # fmt: skip
FREE = "\x01"


def held_out(text: str, share: int = 28) -> bool:
    """True for one in `share` texts, always the same ones; those are never trained on."""
    return zlib.crc32(text.encode()) % share == 0


@cache
def _parse(pattern: str) -> Pattern:
    position = 0

    def sequence(closers: str) -> Pattern:
        nonlocal position
        nodes: Pattern = []
        text = ""
        while position < len(pattern) and pattern[position] not in closers:
            letter = pattern[position]
            position += 1
            if letter in "([":
                nodes.append(text)
                text = ""
                closer = ")" if letter == "(" else "]"
                options: list[Pattern] = [sequence("|" + closer)]
                while pattern[position] == "|":
                    position += 1
                    options.append(sequence("|" + closer))
                position += 1
                if closer == "]":
                    nothing: list[Pattern] = [[""]] * len(options)
                    options = nothing + options
                nodes.append(options)
            else:
                text += letter
        nodes.append(text)
        return nodes

    return sequence("")


def _spoken(pattern: Pattern, rng: Random) -> str:
    return "".join(
        node if isinstance(node, str) else _spoken(rng.choice(node), rng) for node in pattern
    )


def expand(pattern: str, rng: Random, slots: Mapping[str, str] | None = None) -> str:
    """One random reading of `pattern` with `slots` filled in and spaces tidied."""
    text = _spoken(_parse(pattern), rng)
    for name, value in (slots or {}).items():
        text = text.replace("{" + name + "}", value)
    return re.sub(r" +", " ", text).strip()


def _misspelt(word: str, rng: Random) -> str:
    if len(word) < 4 or not word.isalpha():
        return word
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :],
            word[:-1],
            word[1] + word[0] + word[2:],
        )
    )


def roughened(text: str, rng: Random, *, question: bool, wrap: bool = True) -> str:
    """Adds what people add: politeness, punctuation, dropped articles, typing mistakes.

    Parts that stand behind a FREE mark are copied by the model and stay as they are.
    """
    prefixes = _QUESTION_PREFIXES if question else _PREFIXES
    suffixes = _QUESTION_SUFFIXES if question else _SUFFIXES
    if wrap and rng.random() < 0.3 and not text.startswith(("please", "can ", "could ", "hey")):
        text = rng.choice(prefixes).replace("mind and ", "") + text
    if wrap and rng.random() < 0.2 and not text.endswith("please"):
        text += rng.choice(suffixes)
    if rng.random() < 0.3:
        for long, short in _CONTRACTIONS:
            text = text.replace(long, short)
    words = text.split(" ")
    if rng.random() < 0.12:
        # A sentence of nothing but such words ("the") stays as it is.
        words = [w for w in words if w not in _DROPPABLE or rng.random() < 0.4] or words
    for chance in (0.1, 0.03):
        if rng.random() < chance:
            at = rng.randrange(len(words))
            if FREE not in words[at]:
                words[at] = _misspelt(words[at], rng)
    text = " ".join(words)
    if rng.random() < 0.1:
        text = text.replace(",", "")
    if rng.random() < 0.4:
        text += rng.choice("??.") if question else rng.choice("..!")
    if rng.random() < 0.08:
        text = text.replace("'", "")
    return text
