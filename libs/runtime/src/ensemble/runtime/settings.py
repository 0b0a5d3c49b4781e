"""Settings from the environment: one frozen class a unit, parsed once, passed down.

A class is a frozen ``msgspec.Struct`` or dataclass whose fields have defaults where a setting
may be left out. Field ``max_streams`` of prefix ``ENSEMBLE_STT_`` is read from
``ENSEMBLE_STT_MAX_STREAMS``. An empty value counts as not set.
"""

import dataclasses
import difflib
import enum
import os
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ensemble.core.errors import ConfigurationError

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

SERVED_AND_DIALLED = ("LISTEN", "ADDRESS")
"""What the runtime itself reads under the prefix of every service."""


def load(
    cls: type[T],
    prefix: str,
    environ: Mapping[str, str] = os.environ,
    *,
    ignore: Collection[str] = SERVED_AND_DIALLED,
) -> T:
    """Read ``cls`` from the variables that start with ``prefix``.

    Field types: str, int, float, bool, Path, an Enum (by value), a Literal of strings,
    ``tuple[X, ...]`` (separated by commas), ``X | None``, each also as ``Annotated`` with
    ``msgspec.Meta`` limits.

    Args:
        cls: The settings class.
        prefix: What its variables start with, such as ``ENSEMBLE_STT_``.
        environ: Where to read.
        ignore: Names after the prefix that belong to somebody else.

    Raises:
        ConfigurationError: A name under the prefix is unknown, a value is wrong or a setting
            without a default is missing. The message names the variable and what it accepts.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {f"{prefix}{name.upper()}": name for name in _field_names(cls)}
    _refuse_unknown(prefix, environ, fields, ignore)
    values: dict[str, Any] = {}
    for variable, name in fields.items():
        text = environ.get(variable, "").strip()
        if text:
            values[name] = _parse(variable, text, hints[name])
    try:
        return cls(**values)
    except TypeError:
        missing = [v for v, name in fields.items() if name in _required(cls) - values.keys()]
        raise ConfigurationError(
            f"{', '.join(missing)} must be set.", metadata={"variable": ",".join(missing)}
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"The settings {prefix}* do not fit: {error}") from None


def _field_names(cls: type) -> tuple[str, ...]:
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    return tuple(cls.__struct_fields__)  # type: ignore[attr-defined]


def _required(cls: type) -> set[str]:
    if dataclasses.is_dataclass(cls):
        unset = dataclasses.MISSING
        return {
            field.name
            for field in dataclasses.fields(cls)
            if field.default is unset and field.default_factory is unset
        }
    return {field.name for field in msgspec.structs.fields(cls) if field.required}


def _refuse_unknown(
    prefix: str, environ: Mapping[str, str], known: Iterable[str], ignore: Collection[str]
) -> None:
    allowed = {*known, *(prefix + name for name in ignore)}
    unknown = sorted(name for name in environ if name.startswith(prefix) and name not in allowed)
    if not unknown:
        return
    name = unknown[0]
    endings = {each.removeprefix(prefix) for each in allowed}
    close = difflib.get_close_matches(name.removeprefix(prefix), endings, n=1)
    if close:
        advice = f"did you mean {prefix}{close[0]}?"
    else:
        advice = f"known are: {', '.join(sorted(allowed))}."
    raise ConfigurationError(f"{name} is not a setting; {advice}", metadata={"variable": name})


def _parse(variable: str, text: str, hint: Any) -> Any:
    value = _convert(variable, text, _without_none(hint))
    if typing.get_origin(hint) is typing.Annotated:
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            raise _wrong(variable, text, str(error).removeprefix("Expected ")) from None
    return value


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) is typing.Annotated:
        return _without_none(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not types.NoneType]
        if len(inner) == 1:
            return _without_none(inner[0])
    return hint


def _convert(variable: str, text: str, kind: Any) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        parts = [part.strip() for part in text.split(",")]
        return tuple(_parse(variable, part, args[0]) for part in parts if part)
    if origin is typing.Literal:
        if text in args:
            return text
        raise _wrong(variable, text, f"one of {', '.join(args)}")
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise _wrong(variable, text, "true or false")
    if kind is Path:
        return Path(text).expanduser()
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(text)
        except ValueError:
            accepted = ", ".join(str(member.value) for member in kind)
            raise _wrong(variable, text, f"one of {accepted}") from None
    if kind is int or kind is float:
        try:
            number = kind(text)
        except ValueError:
            accepted = "a whole number" if kind is int else "a number"
            raise _wrong(variable, text, accepted) from None
        if number != number or number in (float("inf"), float("-inf")):
            raise _wrong(variable, text, "a finite number")
        return number
    if kind is str:
        return text
    raise TypeError(f"{variable}: a setting cannot be of type {kind!r}")


def _wrong(variable: str, text: str, accepted: str) -> ConfigurationError:
    shown = "its value" if _is_secret(variable) else repr(text)
    return ConfigurationError(
        f"{variable}: {shown} is not accepted; it takes {accepted}.",
        metadata={"variable": variable},
    )


def _is_secret(variable: str) -> bool:
    return variable.endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))
