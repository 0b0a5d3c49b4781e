"""Decides for most messages, without the validation engine, that they meet their rules.

The engine (protovalidate) takes 15 MB and some 25 µs of a hop. The rules that our contract
uses most are bounds, which need neither: a message that is within them is let through here.
Everything else, be it a rule that is not known here or a message that breaks one, is left to
the engine, which alone says what is wrong. So a mistake here could cost time, but a rule that
is not understood can never let a message through.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.message import Message

_RULES: Final = 1159
"""Number of the extensions (buf.validate.field), .message and .oneof. They are not registered
in this process, so options carry them as the bytes that are read here."""

_PLAIN_PATTERN: Final = re.compile(rb"\^(?:\[[A-Za-z0-9_.-]+\](?:\{\d+,\d+\})?)+\$")
"""Whole texts of runs of ASCII letters, digits and a few marks."""

_Check = Callable[[Any], bool]

# Field numbers in buf/validate/validate.proto.
_REQUIRED, _FLOAT, _UINT32, _STRING, _BYTES = 25, 1, 5, 14, 15
_ENUM, _REPEATED, _MAP = 16, 18, 19


class Plan:
    """What is known about the rules of one message type."""

    __slots__ = ("_checks", "_is_complex", "_is_made", "_needed", "has_rules")

    def __init__(self) -> None:
        self._checks: dict[int, _Check] = {}
        self._needed: set[int] = set()
        self._is_complex = False
        self._is_made = False
        self.has_rules = False

    def surely_met_by(self, message: Message) -> bool:
        """Return True when ``message`` meets every rule; False says nothing."""
        if self._is_complex:
            return False
        checks = self._checks
        missing = len(self._needed)
        for field, value in message.ListFields():
            number = field.number
            if number in self._needed:
                missing -= 1
            check = checks.get(number)
            if check is not None and not check(value):
                return False
        return not missing

    def add(self, field: Any, plans: "dict[str, Plan]") -> None:
        """Take the rules of ``field`` and of the messages in it into the plan."""
        rules = _rules_of(field)
        if rules is not None:
            self.has_rules = True
            try:
                self._take(field, _fields(rules))
            except LookupError:
                self._is_complex = True
        if field.message_type is not None:
            self._add_nested(field, plans)

    def _add_nested(self, field: Any, plans: "dict[str, Plan]") -> None:
        inner = plan_of(field.message_type, plans)
        # One that is being made contains this one, and may still have rules.
        if inner._is_made and not inner.has_rules:
            return
        self.has_rules = True
        if field.message_type.GetOptions().map_entry:
            self._is_complex = True
        elif field.is_repeated:
            self._also(field.number, lambda many: all(map(inner.surely_met_by, many)))
        else:
            self._also(field.number, inner.surely_met_by)

    def _also(self, number: int, check: _Check) -> None:
        """Have a field meet ``check`` beside the rule of its own that it may have."""
        own = self._checks.get(number)
        self._checks[number] = check if own is None else lambda it: own(it) and check(it)

    def _take(self, field: Any, rules: dict[int, Any]) -> None:
        """Raise LookupError at a rule that is not known here."""
        for number, rule in rules.items():
            if number == _REQUIRED:
                self._needed.add(field.number)
                continue
            check, zero = _KNOWN[number](field, _fields(rule))
            self._checks[field.number] = check
            # A field without presence that is not in the message holds its zero value.
            if not field.has_presence and not check(zero):
                self._needed.add(field.number)

    def close(self, descriptor: Any) -> None:
        """Take the rules of the message itself and of its oneofs, which are never simple."""
        if any(_rules_of(part) is not None for part in (descriptor, *descriptor.oneofs)):
            self.has_rules = self._is_complex = True
        self._is_made = True


def plan_of(descriptor: Any, plans: dict[str, Plan]) -> Plan:
    """Return the plan of a message type, out of ``plans`` or added to it."""
    plan = plans.get(descriptor.full_name)
    if plan is None:
        # Before its fields are read, so that a type may contain itself.
        plan = plans[descriptor.full_name] = Plan()
        if not descriptor.full_name.startswith("google."):
            for field in descriptor.fields:
                plan.add(field, plans)
        plan.close(descriptor)
    return plan


def _string(_field: Any, rule: dict[int, Any]) -> tuple[_Check, Any]:
    least, most = rule.pop(2, 0), rule.pop(3, None)
    most_bytes = rule.pop(5, None)
    matches = _pattern(rule.pop(6, None))
    _refuse_rest(rule)

    def check(text: str) -> bool:
        size = len(text)
        if size < least or (most is not None and size > most):
            return False
        if matches is not None and not matches(text):
            return False
        return most_bytes is None or size * 4 <= most_bytes or len(text.encode()) <= most_bytes

    return check, ""


def _pattern(pattern: bytes | None) -> Callable[[str], object] | None:
    """Raises LookupError at a pattern that could mean another thing to the engine's RE2."""
    if pattern is None:
        return None
    if not _PLAIN_PATTERN.fullmatch(pattern):
        raise LookupError(pattern)
    # `$` would also match before a newline at the end, which RE2 does not.
    return re.compile(pattern[1:-1].decode()).fullmatch


def _sized(zero: Any, least_number: int, most_number: int) -> Callable[..., tuple[_Check, Any]]:
    def make(_field: Any, rule: dict[int, int]) -> tuple[_Check, Any]:
        least, most = rule.pop(least_number, 0), rule.pop(most_number, 1 << 62)
        _refuse_rest(rule)
        return (lambda value: least <= len(value) <= most), zero

    return make


def _number(_field: Any, rule: dict[int, Any]) -> tuple[_Check, Any]:
    most, least = _value(rule.pop(3, float("inf"))), _value(rule.pop(5, float("-inf")))
    _refuse_rest(rule)
    return (lambda value: least <= value <= most), 0


def _enum(field: Any, rule: dict[int, Any]) -> tuple[_Check, Any]:
    # Without defined_only other numbers are allowed too; they are left to the engine.
    allowed = {value.number for value in field.enum_type.values}
    rule.pop(2, None)
    excluded = rule.pop(4, None)
    if excluded is not None:
        allowed -= {excluded} if isinstance(excluded, int) else set(_varints(excluded))
    _refuse_rest(rule)
    return allowed.__contains__, 0


def _refuse_rest(rule: dict[int, Any]) -> None:
    if rule:
        raise LookupError(rule)


_KNOWN: Final[dict[int, Callable[..., tuple[_Check, Any]]]] = {
    _STRING: _string,
    _BYTES: _sized(b"", 2, 3),
    _REPEATED: _sized((), 1, 2),
    _MAP: _sized((), 1, 2),
    _UINT32: _number,
    _FLOAT: _number,
    _ENUM: _enum,
}


def _rules_of(part: Any) -> bytes | None:
    if not part.has_options:
        return None
    options = part.GetOptions().SerializeToString()
    found = [value for number, value in _items(options) if number == _RULES]
    return b"".join(found) if found else None


def _fields(data: bytes) -> dict[int, Any]:
    """Raises LookupError at a field that comes twice: of a rule, all occurrences count."""
    fields: dict[int, Any] = {}
    for number, value in _items(data):
        if number in fields:
            raise LookupError(number)
        fields[number] = value
    return fields


def _value(raw: Any) -> float:
    number: float = struct.unpack("<f", raw)[0] if isinstance(raw, bytes) else raw
    return number


def _items(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a serialised message: an int or its bytes."""
    at = 0
    value: int | bytes
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        yield number, value


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
