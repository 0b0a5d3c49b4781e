"""The tools of this server: found by name, their arguments checked."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from ensemble.core.errors import ToolArgumentsError, ToolNotFoundError
from ensemble.tool_server import schema
from ensemble.tool_server.tool import Arguments, Tool

AnyTool = Tool[Any, Any]


class Offer:
    """One tool with its schemas."""

    def __init__(self, tool: AnyTool) -> None:
        self.tool = tool
        self.input_schema = schema.of(tool.arguments, tool.examples)
        self.output_schema = schema.of(tool.result)

    def read(self, arguments_json: str) -> Arguments:
        """Return the arguments; empty text counts as no arguments.

        Raises:
            ToolArgumentsError: Not JSON, or outside the schema; the message says where.
        """
        try:
            value = json.loads(
                arguments_json.strip() or "{}",
                parse_float=_number,
                parse_constant=_refuse_constant,
            )
        except (ValueError, RecursionError) as exc:
            raise self._wrong("$", f"not JSON: {exc}") from exc
        try:
            arguments: Arguments = msgspec.convert(value, self.tool.arguments)
        except msgspec.ValidationError as exc:
            path, problem = self._outside_schema(value) or ("$", str(exc))
            raise self._wrong(path, problem) from exc
        return arguments

    def _outside_schema(self, value: Any) -> tuple[str, str] | None:
        """Return where ``value`` leaves the schema and how; None where it keeps to it.

        The schema is made from the type that arguments are read into, so whatever can be read
        keeps to it: a checker of schemas (3 MB, 30 ms) is needed only to say what is wrong.
        """
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        error = best_match(Draft202012Validator(self.input_schema).iter_errors(value))
        return (error.json_path, error.message[:300]) if error is not None else None

    def _wrong(self, path: str, problem: str) -> ToolArgumentsError:
        return ToolArgumentsError(
            f"Arguments of {self.tool.name}: {path}: {problem}",
            metadata={"tool": self.tool.name, "path": path, "problem": problem},
        )


class Toolbox:
    """Every tool by name.

    Raises:
        ValueError: Two tools have one name.
    """

    def __init__(self, tools: Iterable[AnyTool]) -> None:
        self._offers: dict[str, Offer] = {}
        for tool in sorted(tools, key=lambda tool: tool.name):
            if tool.name in self._offers:
                raise ValueError(f"two tools are called {tool.name}")
            self._offers[tool.name] = Offer(tool)

    def find(self, name: str) -> Offer:
        """Return the tool called ``name``.

        Raises:
            ToolNotFoundError: There is none.
        """
        offer = self._offers.get(name)
        if offer is None:
            raise ToolNotFoundError(f"There is no tool called {name!r}.", metadata={"tool": name})
        return offer

    def page(self, after: str, size: int) -> tuple[list[Offer], bool]:
        """Return at most ``size`` tools whose names come after ``after``, and whether more do."""
        offers = [offer for name, offer in self._offers.items() if name > after]
        return offers[:size], len(offers) > size


def _number(text: str) -> float | int:
    # 5.0 is an integer to JSON Schema, so it is one to the tool as well.
    value = float(text)
    return int(value) if value.is_integer() else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed")
