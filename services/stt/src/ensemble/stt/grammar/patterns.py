"""Utterance patterns: ``(turn|switch) {state} the {room} {device} [please]``.

``[x]`` may be left out, ``(a|b)`` is a choice, ``{name}`` a parameter of the tool's schema.
"""

import re
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"\s*([()\[\]|]|\{[^{}]*\}|[^\s()\[\]{}|]+)")
_WORD: Final = re.compile(r"[a-z0-9']+")
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class Word:
    """One word, lower case."""

    text: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts said one after another; an empty one says nothing."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options."""

    options: "tuple[Node, ...]"


Node = Word | Slot | Sequence | Choice


class PatternError(ValueError):
    """A pattern that cannot be read."""


def words(text: str) -> list[str]:
    """Split running text into lower-case words, punctuation dropped."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def parse(pattern: str) -> Node:
    """Read a pattern.

    Raises:
        PatternError: A bracket is missing or nested more than 16 deep, or a slot has no name.
    """
    symbols: list[str] = []
    position = 0
    while pattern[position:].strip():
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise PatternError("unbalanced brace")
        symbols.append(match.group(1))
        position = match.end()
    symbols.reverse()
    node = _choice(symbols, 0)
    if symbols:
        raise PatternError(f"unexpected {symbols[-1]}")
    return node


def _choice(symbols: list[str], depth: int) -> Node:
    if depth > _DEEPEST:
        raise PatternError("nested too deep")
    options = [_sequence(symbols, depth)]
    while symbols and symbols[-1] == "|":
        symbols.pop()
        options.append(_sequence(symbols, depth))
    return options[0] if len(options) == 1 else Choice(tuple(options))


def _sequence(symbols: list[str], depth: int) -> Node:
    parts: list[Node] = []
    while symbols and symbols[-1] not in ")]|":
        symbol = symbols.pop()
        if symbol in "([":
            inner = _choice(symbols, depth + 1)
            closer = ")" if symbol == "(" else "]"
            if not symbols or symbols.pop() != closer:
                raise PatternError(f"missing {closer}")
            parts.append(inner if symbol == "(" else Choice((inner, Sequence(()))))
        elif symbol.startswith("{"):
            name = symbol[1:-1].strip()
            if not name:
                raise PatternError("a slot needs a name")
            parts.append(Slot(name))
        else:
            parts.extend(Word(word) for word in words(symbol))
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))
