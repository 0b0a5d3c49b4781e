from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from ensemble.tool_server.household.arithmetic import LONGEST, SumError, evaluate, show

pytestmark = pytest.mark.unit


def random_sum(rng, depth=0):
    """A random expression, and its value worked out beside it (None: divides by zero)."""
    if depth > 3 or rng.random() < 0.3:
        text = str(rng.randint(0, 120))
        if rng.random() < 0.3:
            text += f".{rng.randint(0, 99)}"
        sign = "-" if rng.random() < 0.2 else ""
        return sign + text, Fraction(sign + text)
    left, a = random_sum(rng, depth + 1)
    right, b = random_sum(rng, depth + 1)
    operator = rng.choice("+-*/")
    gap = rng.choice(("", " ", "  "))
    text = f"({left}){gap}{operator}{gap}({right})"
    if a is None or b is None or (operator == "/" and b == 0):
        return text, None
    values = {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}
    return text, values[operator]()


def test_agrees_with_fractions_on_random_sums():
    rng = Random(7)
    compared = 0
    for _ in range(3000):
        text, value = random_sum(rng)
        if len(text) > LONGEST:
            continue
        if value is None:
            with pytest.raises(SumError, match="zero"):
                evaluate(text)
        elif abs(value) < 10**20:
            assert evaluate(text) == value, text
            compared += 1
    assert compared > 1000


def test_what_is_shown_is_within_half_of_the_last_place():
    rng = Random(8)
    for _ in range(2000):
        value = Fraction(rng.randint(-(10**6), 10**6), rng.randint(1, 10**4))
        text = show(value)
        assert "e" not in text.lower()
        if abs(value) >= Fraction(1, 1000):
            assert abs(Fraction(Decimal(text)) - value) <= Fraction(1, 2 * 10**6)
        if value.denominator == 1:
            assert text == str(int(value))


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("12 + 7", "19"),
        ("0.1 + 0.2", "0.3"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("10 / 4", "2.5"),
        ("10 / 3", "3.333333"),
        ("2 / 3", "0.666667"),
        ("1 / 300000", "0.00000333333"),
        ("10 - 2 - 3", "5"),
        ("24 / 4 / 2", "3"),
        ("-3 - -4", "1"),
        ("2 * -(1 + 1)", "-4"),
        ("7 \u00d7 8", "56"),
        ("7 x 8 \u00f7 2 \u2212 1", "27"),
        (".5 * 4.0", "2"),
        ("1 / 9999999 / 9999999", "0"),
        ("1000000 * 1000000", "1000000000000"),
        ("0 - 0", "0"),
    ],
)  # fmt: skip
def test_sums(expression, shown):
    assert show(evaluate(expression)) == shown


@pytest.mark.parametrize(
    "expression",
    [
        "",
        " ",
        "+",
        "1 +",
        "1 2",
        "(1",
        "1)",
        "()",
        "1..2",
        "2 ** 3 **",
        "1 // 2",
        "a + b",
        "__import__('os')",
        "1e5",
        "5 / (3 - 3)",
        "(" * 100 + "1" + ")" * 100,
        "1+" * 150 + "1",
        "9" * 31,
        "9999999999 * " * 4 + "1",
    ],
)
def test_what_is_no_sum_is_told(expression):
    with pytest.raises(SumError) as caught:
        evaluate(expression)
    assert str(caught.value).endswith(".")
