"""Holds each request message against the rules in its proto (protovalidate)."""

from typing import Any, Final

from google.protobuf.message import Message

from ensemble.core.errors import InvalidArgumentError

# The tag of field 1159, length-delimited: the extensions (buf.validate.field), .message and
# .oneof. They are not registered here, so options carry them as unknown bytes, which is enough
# to see that a message has rules.
_RULES_TAG: Final = bytes.fromhex("ba48")


class Validation:
    """A check of request messages. Types without rules cost one look-up in a table.

    The validator is made when the first message that has rules arrives: its engine takes
    15 MB, which a process that serves nobody yet need not have.
    """

    def __init__(self) -> None:
        self._has_rules: dict[str, bool] = {}
        self._validator: Any = None

    def __call__(self, message: Any) -> None:
        """Raise InvalidArgumentError, with a text for each field, unless the rules are met."""
        if not isinstance(message, Message):
            return
        descriptor = message.DESCRIPTOR
        has_rules = self._has_rules.get(descriptor.full_name)
        if has_rules is None:
            has_rules = _carries_rules(descriptor, set())
            self._has_rules[descriptor.full_name] = has_rules
        if not has_rules:
            return
        violations = self._collect(message)
        if violations:
            where = ", ".join(path or "request" for path in violations)
            raise InvalidArgumentError(
                f"The request does not meet the contract: {where}.", violations=violations
            )

    def _collect(self, message: Message) -> dict[str, str]:
        if self._validator is None:
            import protovalidate

            self._validator = protovalidate.Validator()
        found: dict[str, str] = {}
        for violation in self._validator.collect_violations(message):
            proto = violation.proto
            found.setdefault(_path(proto.field), proto.message or proto.rule_id)
        return found


def _path(field: Any) -> str:
    path = ""
    for element in field.elements:
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None and subscript.field == "index":
            path += f"[{subscript.value}]"
    return path


def _carries_rules(descriptor: Any, seen: set[str]) -> bool:
    """Return whether ``descriptor`` or a message inside it has rules."""
    if descriptor.full_name in seen or descriptor.full_name.startswith("google."):
        return False
    seen.add(descriptor.full_name)
    for part in (descriptor, *descriptor.fields, *descriptor.oneofs):
        if part.has_options and _RULES_TAG in part.GetOptions().SerializeToString():
            return True
    return any(
        field.message_type is not None and _carries_rules(field.message_type, seen)
        for field in descriptor.fields
    )
