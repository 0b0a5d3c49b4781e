"""How a tool call ended."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from ensemble.core.errors import CATALOGUE, EnsembleError


@dataclass(frozen=True)
class Outcome:
    """The result as JSON text, or why there is none."""

    result_json: str = ""
    error: EnsembleError | None = None

    @property
    def final(self) -> bool:
        """Whether another try would end the same way."""
        return self.error is None or not self.error.retryable

    def stored(self) -> dict[str, Any]:
        """Return it as plain values, to be kept."""
        if self.error is None:
            return {"result": self.result_json}
        return {"error": self.error.reason, "message": self.error.message}

    @classmethod
    def from_stored(cls, values: dict[str, Any]) -> "Outcome":
        """Return what ``stored`` made ``values`` of."""
        if "result" in values:
            return cls(result_json=str(values["result"]))
        kind = CATALOGUE.get(str(values.get("error")), EnsembleError)
        return cls(error=kind(str(values.get("message", ""))))


def to_json(result: msgspec.Struct) -> str:
    """Return ``result`` as JSON text with its fields in order and the UNSET ones left out."""
    return json.dumps(msgspec.to_builtins(result), ensure_ascii=False)
