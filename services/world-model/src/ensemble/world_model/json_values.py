"""JSON texts compared as values."""

import hashlib
import json
from decimal import Decimal, DecimalException
from typing import Any


def digest(text: str) -> bytes:
    """Return 32 bytes that are equal for texts of equal value: ``1.0`` and ``1``, any key order.

    Raises:
        ValueError: ``text`` is not JSON.
    """
    try:
        value = json.loads(
            text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse_constant
        )
        canonical = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    except DecimalException as exc:
        raise ValueError("a number out of range") from exc
    return hashlib.sha256(canonical.encode()).digest()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return {"": _number(value)}
    # A one-member object with an empty key stands for a number, so strings are marked as well:
    # otherwise the object {"": "1"} would equal the number 1.
    return f"s{value}" if isinstance(value, str) else value


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return "0"
    short = text.rstrip("0")
    power = int(exponent) + len(text) - len(short)
    return f"{'-' if sign else ''}{short}e{power}"
