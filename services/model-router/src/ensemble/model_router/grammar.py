"""Builds GBNF grammars for tool calls from the tools' own JSON Schemas.

A grammar describes what follows ``<tool_call>``: one call, or several, of a tool that was
offered, with arguments its schema allows, spelt the way ``json.dumps`` spells them. What a
schema says beyond types, enumerations, bounds, keys and nesting is left to the tool's own
validation; a schema that cannot be expressed at all gets any JSON object instead.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ensemble.model_router.domain import Tool

_MAX_DEPTH = 6
_MAX_CALLS = 8
_MAX_ITEMS = 16
_MAX_STRING = 400
_ENUMERATED = 100_000
_PRELUDE = r"""
hex ::= [0-9a-fA-F]
char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" unit)
unit ::= [0-9a-cA-CeEfF] hex hex hex | [dD] [0-7] hex hex
integer ::= "0" | "-"? [1-9] [0-9]{0,14}
number ::= "-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,9})?
boolean ::= "true" | "false"
"""


class _NotExpressibleError(Exception):
    """The schema holds something that the grammar has no words for."""


@lru_cache(maxsize=64)
def grammar_of(tools: tuple[Tool, ...]) -> str:
    """Return the grammar of what may follow ``<tool_call>``; cached.

    Args:
        tools: The tools on offer; at least one.
    """
    rules = _Rules()
    calls = [_call(rules, tool) for tool in tools]
    rules.add("call", " | ".join(calls))
    again = f'("\\n<tool_call>\\n" call "\\n</tool_call>"){{0,{_MAX_CALLS - 1}}}'
    lines = [f'root ::= "\\n"? call "\\n</tool_call>" {again}']
    lines += [f"{name} ::= {body}" for name, body in rules.rules.items()]
    return "\n".join(lines) + _PRELUDE


def _call(rules: "_Rules", tool: Tool) -> str:
    head = _literal(f'{{"name": {json.dumps(tool.name)}, "arguments": ')
    before = dict(rules.rules)
    try:
        schema = json.loads(tool.schema_json or "{}")
        if not isinstance(schema, dict):
            raise _NotExpressibleError
        if schema.get("type", "object") != "object":
            raise _NotExpressibleError
        arguments = rules.value(schema | {"type": "object"}, schema, 0)
    except (_NotExpressibleError, ValueError, RecursionError):
        rules.rules = before
        arguments = rules.any_object(0)
    return f'{head} {arguments} "}}"'


class _Rules:
    """The named rules made so far."""

    def __init__(self) -> None:
        self.rules: dict[str, str] = {}

    def add(self, name: str, body: str) -> str:
        self.rules[name] = body
        return name

    def new(self, body: str) -> str:
        return self.add(f"r{len(self.rules)}", body)

    def value(self, schema: Any, root: Mapping[str, Any], depth: int) -> str:
        """Return an expression for the values that ``schema`` allows."""
        if schema is True or schema == {}:
            return self.any_value(depth)
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            raise _NotExpressibleError
        if "$ref" in schema:
            return self.value(_resolve(schema["$ref"], root), root, depth + 1)
        if "const" in schema:
            return _literal(_json(schema["const"]))
        if "enum" in schema:
            if not schema["enum"]:
                raise _NotExpressibleError
            return _either(_literal(_json(value)) for value in schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                rest = {k: v for k, v in schema.items() if k not in (key, "$defs")}
                options = [rest | option for option in schema[key] if isinstance(option, dict)]
                return self.new(_either(self.value(o, root, depth + 1) for o in options))
        kind = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kind, list):
            options = [schema | {"type": one} for one in kind]
            return self.new(_either(self.value(o, root, depth + 1) for o in options))
        match kind:
            case "object":
                return self._object(schema, root, depth)
            case "array":
                return self._array(schema, root, depth)
            case "string":
                return _string(schema)
            case "integer":
                return self._integer(schema)
            case "number":
                return "number"
            case "boolean":
                return "boolean"
            case "null":
                return '"null"'
        raise _NotExpressibleError

    def any_value(self, depth: int) -> str:
        """Return a rule for any JSON, nested no deeper than what is left of the depth."""
        name = f"any{min(depth, _MAX_DEPTH)}"
        if name not in self.rules:
            self.rules[name] = ""
            parts = [_string({}), "number", "boolean", '"null"']
            if depth < _MAX_DEPTH:
                inner = self.any_value(depth + 2)
                parts += [self.any_object(depth), _list_of(inner, 0, _MAX_ITEMS)]
            self.rules[name] = _either(parts)
        return name

    def any_object(self, depth: int) -> str:
        """Return a rule for any JSON object."""
        name = f"object{min(depth, _MAX_DEPTH)}"
        if name not in self.rules:
            self.rules[name] = ""
            pair = f'"\\"" char{{1,64}} "\\": " {self.any_value(depth + 2)}'
            self.rules[name] = f'"{{" ({pair} (", " {pair}){{0,{_MAX_ITEMS}}})? "}}"'
        return name

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties", {})
        required = set(schema.get("required", ()))
        if not required <= properties.keys():
            raise _NotExpressibleError
        if not properties:
            free = schema.get("additionalProperties", True) is not False
            return self.any_object(depth) if free and depth else '"{}"'
        pairs = []
        for key, of in properties.items():
            pair = f"{_literal(_json(key) + ': ')} {self.value(of, root, depth + 1)}"
            pairs.append((pair, key in required))
        # Rules for what may still come, from the last key backwards: once with and once
        # without something in front that needs a comma.
        behind, alone = '"}"', '"}"'
        for pair, needed in reversed(pairs):
            later = self.new(behind)
            alone_later = self.new(alone)
            behind = f'", " {pair} {later}' + ("" if needed else f" | {later}")
            alone = f"{pair} {later}" + ("" if needed else f" | {alone_later}")
        return f'"{{" {self.new(alone)}'

    def _array(self, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
        item = self.new(self.value(schema.get("items", True), root, depth + 1))
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(_MAX_ITEMS, least)))
        if not 0 <= least <= most or most > 256:
            raise _NotExpressibleError
        return self.new(_list_of(item, least, most))

    def _integer(self, schema: Mapping[str, Any]) -> str:
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + 1
        if "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - 1
        if low is None or high is None:
            return "integer"
        if low > high:
            raise _NotExpressibleError
        low, high = int(low), int(high)
        if high - low >= _ENUMERATED:
            return "integer"
        name = f"int{low}to{high}".replace("-", "m")
        if name not in self.rules:
            self.rules[name] = _digits([str(n) for n in range(low, high + 1)])
        return name


def _digits(numbers: list[str]) -> str:
    """Return an expression for exactly these decimal strings, as a tree with equal arms merged."""
    arms: dict[str, list[str]] = {}
    for number in numbers:
        if number:
            arms.setdefault(number[0], []).append(number[1:])
    merged: dict[str, str] = {}
    for first, rests in arms.items():
        rest = _digits(rests)
        merged[rest] = merged.get(rest, "") + first
    parts = [f"[{firsts}] {rest}".strip() for rest, firsts in merged.items()]
    if not parts:
        return ""
    body = parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"
    return f"({body})?" if "" in numbers else body


def _string(schema: Mapping[str, Any]) -> str:
    least = int(schema.get("minLength", 0))
    most = int(schema.get("maxLength", max(_MAX_STRING, least)))
    if not 0 <= least <= most:
        raise _NotExpressibleError
    bounds = f"{{{least},{most}}}" if most <= 1000 else f"{{{least},}}" if least <= 1000 else "*"
    return f'"\\"" char{bounds} "\\""'


def _list_of(item: str, least: int, most: int) -> str:
    if most == 0:
        return '"[]"'
    more = f'{item} (", " {item}){{{max(least - 1, 0)},{most - 1}}}'
    return f'"[" {more} "]"' if least else f'"[" ({more})? "]"'


def _either(parts: Iterable[str]) -> str:
    return f"({' | '.join(parts)})"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _literal(text: str) -> str:
    """Return ``text`` as a GBNF literal; everything unusual is escaped."""
    out = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append(f"\\{char}")
        elif 0x20 <= code < 0x7F:
            out.append(char)
        else:
            out.append(f"\\x{code:02X}" if code < 0x100 else f"\\U{code:08X}")
    return f'"{"".join(out)}"'


def _resolve(reference: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise _NotExpressibleError
    at: Any = root
    for part in reference[2:].split("/"):
        if not isinstance(at, dict) or part not in at:
            raise _NotExpressibleError
        at = at[part]
    return at
