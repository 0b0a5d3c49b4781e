"""JSON Schema (2020-12) of a ``msgspec.Struct``, with enums in the order they were written."""

import json
import types
import typing
from typing import Any

import msgspec


def of(cls: type[msgspec.Struct], examples: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of ``cls`` as an object without other members.

    Field types: str, int, float, bool, a ``Literal`` of strings, a list of one of these; each
    also ``Annotated`` with ``msgspec.Meta``, and ``| UnsetType`` where it may be left out.

    Args:
        cls: The struct.
        examples: Whole objects as JSON text.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _property(hints[name]) for name in cls.__struct_fields__},
        "required": [field.name for field in msgspec.structs.fields(cls) if field.required],
        "additionalProperties": False,
    }
    if examples:
        schema["examples"] = [json.loads(example) for example in examples]
    return schema


_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _property(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        schema = _property(arguments[0])
        for meta in arguments[1:]:
            schema |= _limits(meta)
        return schema
    if origin in (typing.Union, types.UnionType):
        (given,) = (part for part in arguments if part is not msgspec.UnsetType)
        return _property(given)
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _property(arguments[0])}
    return {"type": _TYPES[hint]}


def _limits(meta: msgspec.Meta) -> dict[str, Any]:
    found = {
        "description": meta.description,
        "minimum": meta.ge,
        "maximum": meta.le,
        "minLength": meta.min_length,
        "maxLength": meta.max_length,
        "examples": meta.examples,
    }
    return {name: value for name, value in found.items() if value is not None}
