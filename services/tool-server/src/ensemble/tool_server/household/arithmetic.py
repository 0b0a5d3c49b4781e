"""Sums, worked out exactly, without ``eval``."""

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

LONGEST: Final = 200
"""Characters of an expression at most."""

LARGEST: Final = 10**30
"""No value on the way to a result may be as large as this."""

_SMALLEST: Final = Fraction(1, 10**12)
_DEEPEST: Final = 20
_DECIMALS: Final = 6
_TOKEN: Final = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|[-+*/()\u00d7\u00f7\u2212x])")
_SAME: Final = {"\u00d7": "*", "x": "*", "\u00f7": "/", "\u2212": "-"}


class SumError(ValueError):
    """A sum that cannot be worked out; the text tells a person why."""


def evaluate(expression: str) -> Fraction:
    """Return the value of ``expression``: numbers, + - * /, parentheses and signs.

    Raises:
        SumError: It is no such expression, divides by zero, or passes a limit.
    """
    if len(expression) > LONGEST:
        raise SumError(f"The sum is longer than {LONGEST} characters.")
    reader = _Reader(_tokens(expression))
    value = reader.sum(0)
    if not reader.at_end():
        raise SumError("I cannot read this sum.")
    return value


def show(value: Fraction) -> str:
    """Return ``value`` in plain decimals: whole numbers whole, others rounded to six places.

    A value so small that six places would lose it is rounded to six digits instead, and one
    that nobody could read out is 0.
    """
    if value.denominator == 1:
        return str(value.numerator)
    if abs(value) < _SMALLEST:
        return "0"
    with localcontext() as context:
        context.prec = 50
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        if abs(exact) >= Decimal("0.001"):
            rounded = exact.quantize(Decimal(1).scaleb(-_DECIMALS))
        else:
            context.prec = _DECIMALS
            rounded = +exact
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _tokens(expression: str) -> list[str]:
    tokens = []
    position, end = 0, len(expression.rstrip())
    while position < end:
        match = _TOKEN.match(expression, position)
        if match is None:
            raise SumError("I cannot read this sum.")
        tokens.append(_SAME.get(match[1], match[1]))
        position = match.end()
    return tokens


class _Reader:
    """Recursive descent: a sum of products of signed numbers and parentheses."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0

    def at_end(self) -> bool:
        return self._position == len(self._tokens)

    def sum(self, depth: int) -> Fraction:
        value = self._product(depth)
        while (sign := self._take("+-")) is not None:
            other = self._product(depth)
            value = _limited(value + other if sign == "+" else value - other)
        return value

    def _product(self, depth: int) -> Fraction:
        value = self._signed(depth)
        while (sign := self._take("*/")) is not None:
            other = self._signed(depth)
            if sign == "/" and not other:
                raise SumError("Nothing can be divided by zero.")
            value = _limited(value * other if sign == "*" else value / other)
        return value

    def _signed(self, depth: int) -> Fraction:
        negative = False
        while (sign := self._take("+-")) is not None:
            negative ^= sign == "-"
        value = self._atom(depth)
        return -value if negative else value

    def _atom(self, depth: int) -> Fraction:
        if self._take("(") is not None:
            if depth == _DEEPEST:
                raise SumError("The sum has too many parentheses inside each other.")
            value = self.sum(depth + 1)
            if self._take(")") is None:
                raise SumError("A parenthesis is not closed.")
            return value
        if self.at_end() or self._tokens[self._position] in "+-*/()":
            raise SumError("A number is missing in this sum.")
        self._position += 1
        return _limited(Fraction(self._tokens[self._position - 1]))

    def _take(self, wanted: str) -> str | None:
        if self.at_end() or self._tokens[self._position] not in tuple(wanted):
            return None
        self._position += 1
        return self._tokens[self._position - 1]


def _limited(value: Fraction) -> Fraction:
    if abs(value) >= LARGEST:
        raise SumError("The numbers of this sum are too large.")
    return value
