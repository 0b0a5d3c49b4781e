"""Works out sums."""

from typing import Annotated

import msgspec

from ensemble.core.errors import ToolFailedError
from ensemble.tool_server.household import arithmetic
from ensemble.tool_server.household.spoken_numbers import NUMBER
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool

_OPERATOR = "(plus|minus|times|multiplied by|divided by)"


class CalculateArguments(Arguments, frozen=True):
    """The sum."""

    expression: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=arithmetic.LONGEST,
            description="A sum with the operators + - * / and parentheses, such as 12 + 7.",
        ),
    ]


class CalculateResult(Result, frozen=True):
    """The sum and its value in plain decimals."""

    expression: str
    value: str


class Calculate(Tool[CalculateArguments, CalculateResult]):
    """Works out a sum exactly and rounds only to show it."""

    name = "calculate"
    description = "Works out a sum of numbers with + - * / and parentheses."
    arguments = CalculateArguments
    result = CalculateResult
    idempotent = True
    read_only = True
    examples = ('{"expression": "12 + 7"}', '{"expression": "(3 + 4) * 2.5"}')
    utterances = (
        f"[what is|what's] {NUMBER} {_OPERATOR} {NUMBER} [please]",
        f"[please] (calculate|work out|compute) {NUMBER} {_OPERATOR} {NUMBER} [please]",
        f"how much is {NUMBER} {_OPERATOR} {NUMBER}",
        f"(can|could) you (calculate|work out) {NUMBER} {_OPERATOR} {NUMBER} [please]",
        f"(tell me|do you know) what {NUMBER} {_OPERATOR} {NUMBER} is",
        f"add {NUMBER} (and|to) {NUMBER}",
        f"multiply {NUMBER} (by|and) {NUMBER}",
        f"divide {NUMBER} by {NUMBER}",
        f"subtract {NUMBER} from {NUMBER}",
    )

    async def run(self, arguments: CalculateArguments, call: CallInfo) -> CalculateResult:
        """Work it out; an expression is short enough to do so at once."""
        try:
            value = arithmetic.evaluate(arguments.expression)
        except arithmetic.SumError as exc:
            raise ToolFailedError(str(exc)) from exc
        return CalculateResult(arguments.expression.strip(), arithmetic.show(value))
