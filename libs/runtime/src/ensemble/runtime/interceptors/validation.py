"""Holds each request message against the rules in its proto (protovalidate)."""

from typing import Any

from google.protobuf.message import Message

from ensemble.core.errors import InvalidArgumentError
from ensemble.runtime.interceptors.quick_rules import Plan, plan_of


class Validation:
    """A check of request messages.

    The engine is made when the first message comes that the quick rules leave open: it takes
    15 MB, which a process whose callers keep to the contract need not have.
    """

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}
        self._by_type: dict[type, Plan | None] = {}  # None: nothing to check
        self._validator: Any = None

    def __call__(self, message: Any) -> None:
        """Raise InvalidArgumentError, with a text for each field, unless the rules are met."""
        try:
            plan = self._by_type[type(message)]
        except KeyError:
            plan = self._by_type[type(message)] = self._plan_of(message)
        if plan is None or plan.surely_met_by(message):
            return
        violations = self._collect(message)
        if violations:
            where = ", ".join(path or "request" for path in violations)
            raise InvalidArgumentError(
                f"The request does not meet the contract: {where}.", violations=violations
            )

    def _plan_of(self, message: Any) -> Plan | None:
        if not isinstance(message, Message):
            return None
        plan = plan_of(message.DESCRIPTOR, self._plans)
        return plan if plan.has_rules else None

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
